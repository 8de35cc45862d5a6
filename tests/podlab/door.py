# SPDX-License-Identifier: Apache-2.0
"""`python3 -m podlab.door LOCAL-PORT NAMESPACE ADDRESS PORT`: carries connections from a port of this machine's
loopback address to an address in a namespace, so that people use kubectl and helm without entering one."""

import asyncio
import socket
import sys

from lab import netns


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def _serve(local_port: int, namespace: str, address: str, port: int) -> None:
    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with netns.entered(namespace):
            there = socket.socket()
        there.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(there, (address, port))
            far_reader, far_writer = await asyncio.open_connection(sock=there)
        except OSError:
            there.close()
            writer.close()
            return
        await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))

    async with await asyncio.start_server(accepted, "127.0.0.1", local_port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
