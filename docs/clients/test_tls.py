# SPDX-License-Identifier: Apache-2.0
"""Python's ssl on the card: docs/clients.md#python. Start it with OPENSSL_CONF, by pytest or as a program."""
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile

SERVER = """
import socket, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
        connection.sendall(b"x" * 1000000)
"""


def statistics_of_a_download():
    """A server in a process of its own: what its card did, after one client."""
    with tempfile.TemporaryDirectory() as directory:
        file = os.path.join(directory, "card.json")
        environment = dict(os.environ, ERSATZ_CTRL=f"SYNC_OFFLOAD:1;STATS_FILE:{file}")
        with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True, env=environment) as server:
            context = ssl.create_default_context(cafile="cert.pem")
            with socket.create_connection(("127.0.0.1", int(server.stdout.readline()))) as plain:
                with context.wrap_socket(plain, server_hostname="localhost") as connection:
                    while connection.recv(65536):
                        pass
        with open(file, encoding="utf-8") as statistics:
            return json.load(statistics)["requests"]


def test_the_card_signs_and_encrypts():
    requests = statistics_of_a_download()
    assert requests["rsa_priv"] == 1
    assert requests["aes_gcm"] >= 1000000 // 16384


if __name__ == "__main__":
    print(json.dumps(statistics_of_a_download()))
