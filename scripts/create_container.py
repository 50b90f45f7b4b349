#!/usr/bin/env python3
"""Creates a container in the Azurite emulator, which the product's storage client cannot do.

In: a port on the loopback address and a container name. Out: exit 0 when the container exists afterwards.
Signs with the emulator's public account key (it is in Azurite's README and no secret), so it serves the emulator only.
"""

import argparse
import base64
import email.utils
import hashlib
import hmac
import sys
import time
import urllib.error
import urllib.request

ACCOUNT = "devstoreaccount1"
PUBLIC_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
API_VERSION = "2025-11-05"


def signature(method: str, headers: dict[str, str], resource: str) -> str:
    """SharedKey of the Blob service for a request without a body."""
    standard_headers_and_their_empty_values = "\n" * 11
    own = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    text = f"{method}\n{standard_headers_and_their_empty_values}{own}{resource}"
    digest = hmac.new(base64.b64decode(PUBLIC_KEY), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def create(port: int, container: str) -> int:
    """Sends the request once and returns the HTTP status."""
    headers = {"x-ms-date": email.utils.formatdate(usegmt=True), "x-ms-version": API_VERSION}
    # The emulator has the account in the path, so the signed resource names it twice.
    resource = f"/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{signature('PUT', headers, resource)}"
    url = f"http://127.0.0.1:{port}/{ACCOUNT}/{container}?restype=container"
    request = urllib.request.Request(url, method="PUT", headers=headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        if error.code != 409:
            print(error.read().decode(errors="replace"), file=sys.stderr)
        return error.code


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--wait", type=float, default=0, help="seconds to wait for the emulator to answer")
    parser.add_argument("container", help="3 to 63 characters: lower-case letters, digits, hyphens")
    args = parser.parse_args()
    deadline = time.monotonic() + args.wait
    while True:
        try:
            status = create(args.port, args.container)
            break
        except OSError as error:
            if time.monotonic() >= deadline:
                print(f"no answer on 127.0.0.1:{args.port}: {error}", file=sys.stderr)
                return 1
            time.sleep(0.1)
    if status in (201, 409):
        return 0
    print(f"the emulator answered {status} to the creation of container {args.container}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
