"""What people keep in mailboxes, made from a seeded random number generator: texts in several scripts,
RFC 822 messages of all sizes, contacts, appointments; and names that have broken programs before."""

import base64

SENDERS = ("Ann Example", "Bj\u00f6rn S\u00f8rensen", "\u674e\u96f7", "O'Brien, \"Pat\"",
           "\u0410\u043d\u043d\u0430 \u041a\u0430\u0440\u0435\u043d\u0438\u043d\u0430", "no-reply",
           "a\\b%c_d", "\u05d3\u05d5\u05d3", "back`tick; DROP TABLE mail_item; --")
SUBJECTS = ("Minutes of the meeting", "Re: offer", "Gr\u00fc\u00dfe aus K\u00f6ln", "\u4f1a\u8bae\u7eaa\u8981",
            "Invoice 2019/0815", "your order", "lunch?", "'quoted' \"twice\" \\ and %s",
            "\u041e\u0442\u0447\u0451\u0442", "caf\u00e9 or cafe\u0301", "Fwd: photos of the summer", "")
# Folder and file names. Under one parent the server's collation tells neither case nor accents nor
# trailing blanks apart, so those pairs go to different parents.
NASTY_NAMES = ("plain", "PLAIN", "with trailing blank ", "with trailing blank", "  leading",
               "quote'and\"double", "back\\slash", "percent % and _", "semi;colon -- comment",
               "${DATABASE_NAME}", "tab\there", "\u00c4rger", "A\u0308rger", "\u65e5\u672c\u8a9e\u306e"
               "\u30d5\u30a9\u30eb\u30c0", "\u0645\u062c\u0644\u062f", "mboxgroup1", "0", "NULL",
               "\u20ac" * 255, "zero\u200bwidth", "i\u0307stanbul", "stra\u00dfe")
EMOJI = "party \U0001f389 and family \U0001f468\u200d\U0001f469\u200d\U0001f467"

_WORDS = ("lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut "
          "labore et dolore magna aliqua gr\u00f6\u00dfe na\u00efve \u043f\u0440\u0438\u0432\u0435\u0442 "
          "\u6771\u4eac \u03b1\u03b2\u03b3").split()


def bencode(value):
    """Zimbra's form of metadata: bencoding, keys in order."""
    if isinstance(value, dict):
        items = sorted((k.encode(), v) for k, v in value.items())
        return b"d" + b"".join(bencode(k) + bencode(v) for k, v in items) + b"e"
    if isinstance(value, (list, tuple)):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    if isinstance(value, int):
        return b"i%de" % value
    data = value if isinstance(value, bytes) else value.encode()
    return b"%d:%s" % (len(data), data)


def metadata(value):
    """A metadata column: what has characters outside the basic plane is wrapped (2.8)."""
    data = bencode(value)
    if any(ord(char) > 0xffff for char in data.decode(errors="ignore")):
        return b"=?utf-8?B?" + base64.b64encode(data) + b"?="
    return data


class Content:
    """A source of texts; the same random numbers give the same texts."""

    def __init__(self, rng):
        self.rng = rng
        self.paragraphs = [self._paragraph() for _ in range(64)]
        self._pool = b""  # for attachments of messages whose size is given

    def _paragraph(self):
        lines = [" ".join(self.rng.choices(_WORDS, k=self.rng.randint(3, 11)))
                 for _ in range(self.rng.randint(2, 8))]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def uuid(self):
        """A version 4 UUID."""
        digits = f"{self.rng.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def body(self, paragraphs):
        """Text of so many paragraphs."""
        return b"".join(self.rng.choices(self.paragraphs, k=paragraphs))

    def message(self, number, sender, subject, date, size="small"):
        """An RFC 822 message. Sizes: small (a few KiB), attachment (tens of KiB that do not
        compress), huge (over a MiB), odd (bare LF, NUL, 8-bit, no end of line); or so many bytes."""
        head = (f"Return-Path: <sender{number}@outside.example>\r\n"
                f"Received: from mx.outside.example by mta.lab.test; {date}\r\n"
                f"From: {sender} <sender{number}@outside.example>\r\nSubject: {subject}\r\n"
                f"Message-ID: <{number}.{self.rng.getrandbits(48):x}@outside.example>\r\n"
                "MIME-Version: 1.0\r\n").encode()
        if size == "odd":
            return head.replace(b"\r\n", b"\n") + b"\nbare LF\n\0NUL\0 and \xff\xfe latin\n.\nno end"
        if size == "small":
            return (head + b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
                    + self.body(self.rng.choice((1, 2, 4, 8, 16, 40))))
        head += (b'Content-Type: multipart/mixed; boundary="=_b"\r\n\r\n--=_b\r\n\r\n' + self.body(2)
                 + b"--=_b\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        if isinstance(size, int):
            attachment = self._cut(size - len(head))
        else:
            count = 1_200_000 if size == "huge" else self.rng.randint(5_000, 60_000)
            attachment = base64.encodebytes(self.rng.randbytes(count)).replace(b"\n", b"\r\n")
        return head + attachment + b"--=_b--\r\n"

    def _cut(self, size):
        """An attachment out of a pool: a gigabyte of them must not take minutes to make up."""
        if not self._pool:
            self._pool = base64.encodebytes(self.rng.randbytes(12 << 20)).replace(b"\n", b"\r\n")
        size = max(0, size)
        at = self.rng.randrange(len(self._pool) - size)
        return self._pool[at:at + size]

    def calendar(self, uid, kind):
        """The blob of an appointment or task: a digest of its invites."""
        return (b'Content-Type: multipart/digest; boundary="=_i"\r\n\r\n--=_i\r\n'
                b"Content-Type: text/calendar; charset=utf-8\r\n\r\nBEGIN:VCALENDAR\r\nBEGIN:"
                + f"{kind}\r\nUID:{uid}\r\n".encode() + self.body(1) + f"END:{kind}\r\n".encode()
                + b"END:VCALENDAR\r\n--=_i--\r\n")
