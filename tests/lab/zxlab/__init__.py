"""The laboratory: real servers on loopback, a stand-in only for mailboxd, and what fills them.

    from zxlab.lab import Lab
    lab = Lab.create("mine")
"""
