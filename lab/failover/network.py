"""Ports, requests and certificates for the cluster."""

import base64
import json
import socket
import ssl
import subprocess
import urllib.parse
from http import client


def free_ports(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def http(url, body=None, login=None, source="127.0.0.1", token=None, authority=None):
    """Returns the status and the text of the answer, or a status of 0 if there is none. A body makes it a POST."""
    where = urllib.parse.urlsplit(url)
    if where.scheme == "https":
        tls = ssl.create_default_context(cafile=authority)
        connection = client.HTTPSConnection(where.netloc, timeout=30, context=tls)
    else:
        connection = client.HTTPConnection(where.netloc, timeout=30, source_address=(source, 0))
    headers = {"Authorization": token} if token else {}
    if login:
        headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
    try:
        data = json.dumps(body) if body is not None else None
        connection.request("POST" if data else "GET", where.path, data, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def certificates(folder):
    """Makes an authority, and a certificate that it signed for 127.0.0.1, which Patroni calls localhost."""
    folder.mkdir()
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    for command in [
        f"req -x509 {key} -subj /CN=authority -keyout ca.key -out ca.pem",
        f"req -x509 {key} -subj /CN=server -keyout server.key -out server.pem -CA ca.pem -CAkey ca.key "
        "-addext subjectAltName=IP:127.0.0.1,DNS:localhost -addext basicConstraints=critical,CA:FALSE",
    ]:
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
