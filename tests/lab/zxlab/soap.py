"""The admin SOAP of a store as an administrator's own tool would use it, for what a test does to a store behind
zxmove's back."""

import ssl
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

from . import network

ENVELOPE = ('<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Header>'
            '<context xmlns="urn:zimbra">{token}<nosession/><targetServer>{server}</targetServer></context>'
            '</soap:Header><soap:Body>{body}</soap:Body></soap:Envelope>')


class Admin:
    """A login at one store; requests are executed there."""

    def __init__(self, store):
        self.store = store
        self.url = f"https://{store.address}:{network.SOAP_PORT}/service/admin/soap/"
        self.context = ssl.create_default_context(cafile=f"{store.lab.dir}/ca/ca.pem")
        self.token = ""
        answer = self.call('<AuthRequest xmlns="urn:zimbraAdmin" name="zimbra"'
                           f' password="{store.lab.ldap_password}"/>')
        self.token = f"<authToken>{answer.find('.//{*}authToken').text}</authToken>"

    def call(self, body):
        """The answer's XML; RuntimeError with the fault's text."""
        text = ENVELOPE.format(token=self.token, server=self.store.server_id, body=body)
        request = urllib.request.Request(self.url, text.encode(), {"Content-Type": "text/xml; charset=utf-8"})
        try:
            with urllib.request.urlopen(request, timeout=90, context=self.context) as answer:
                return ElementTree.fromstring(answer.read())
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode(errors="replace")) from error

    def lockout(self, account_id, operation):
        """LockoutMailboxRequest start or end."""
        return self.call(f'<LockoutMailboxRequest xmlns="urn:zimbraAdmin" op="{operation}">'
                         f'<account by="id">{account_id}</account></LockoutMailboxRequest>')
