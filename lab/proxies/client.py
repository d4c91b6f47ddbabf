"""Clients that waste a proxy's connections, for proxies.sh.

client.py hold PORT ADDRESS NUMBER    opens connections whose requests never end, until standard input ends
client.py pipeline PORT ADDRESS PATH  sends 200 KB of requests and reads nothing, until it is disconnected
client.py streams PORT ADDRESS NUMBER opens connections with 100 HTTP/2 requests each whose bodies never end, again and
                                      again, until it is killed

ADDRESS is the client's own. All trust the certificate in the file that CERTIFICATE names.
"""

import contextlib
import os
import socket
import ssl
import sys
import time

HOST = "app.example.org"
# Time limit for disconnecting a client.
PATIENCE = 30


def connect(port, address, protocol="http/1.1"):
    plain = socket.socket()
    if protocol == "http/1.1":
        # A small window, so that the responses soon fill the proxy's buffers.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(10)
    plain.bind((address, 0))
    plain.connect(("127.0.0.1", port))
    context = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
    context.set_alpn_protocols([protocol])
    return context.wrap_socket(plain, server_hostname=HOST)


def hold(port, address, number):
    head = f"POST /held HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\n"
    connections = []
    for _ in range(number):
        connections.append(connect(port, address))
        connections[-1].sendall(head.encode())
    print("held", flush=True)
    sys.stdin.read()


def pipeline(port, address, path):
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    rest = request * (200_000 // len(request))
    connection = connect(port, address)
    connection.setblocking(False)
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE:
        try:
            rest = rest[connection.send(rest[:16_384]) :] or request
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            time.sleep(0.1)
        except OSError:
            print(f"disconnected after {time.monotonic() - began:.0f} s")
            return
    sys.exit(f"still connected after {PATIENCE} s")


def frame(kind, flags, stream, payload=b""):
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def half_sent(stream):
    """A request that announces ten bytes and sends five."""
    headers = {":method": "POST", ":scheme": "https", ":authority": HOST, ":path": "/held", "content-length": "10"}
    # Literals that need no table (RFC 7541, section 6.2.2).
    texts = [text.encode() for header in headers.items() for text in header]
    texts = [bytes([len(text)]) + text for text in texts]
    block = b"".join(b"\0" + name + value for name, value in zip(texts[::2], texts[1::2]))
    return frame(1, 4, stream, block) + frame(0, 0, stream, b"a=bcd")


def streams(port, address, number):
    opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0)
    requests = b"".join(half_sent(1 + 2 * n) for n in range(100))
    while True:
        connections = []
        for _ in range(number):
            # A proxy may refuse them by now.
            with contextlib.suppress(OSError):
                connections.append(connect(port, address, "h2"))
                connections[-1].sendall(opening + requests)
        print("held", flush=True)
        time.sleep(4)
        for connection in connections:
            connection.close()


kind, port, address, last = sys.argv[1:]
if kind == "hold":
    hold(int(port), address, int(last))
elif kind == "streams":
    streams(int(port), address, int(last))
else:
    pipeline(int(port), address, last)
