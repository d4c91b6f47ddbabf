"""Clients that waste a proxy's connections, for proxies.sh.

client.py hold PORT ADDRESS NUMBER    opens connections whose requests never end, until standard input ends
client.py pipeline PORT ADDRESS PATH  sends 200 KB of requests and reads nothing, until it is disconnected

ADDRESS is the client's own. Both trust the certificate in the file that CERTIFICATE names.
"""

import os
import socket
import ssl
import sys
import time

HOST = "app.example.org"
# The longest time until a client is disconnected.
PATIENCE = 30


def connect(port, address):
    plain = socket.socket()
    # A small window, so that the responses soon fill the proxy's buffers.
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(10)
    plain.bind((address, 0))
    plain.connect(("127.0.0.1", port))
    context = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
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


kind, port, address, last = sys.argv[1:]
if kind == "hold":
    hold(int(port), address, int(last))
else:
    pipeline(int(port), address, last)
