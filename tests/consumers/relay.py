# Connects a TCP port of this network namespace to a Unix socket of another one: relay.py PORT SOCKET
import asyncio
import sys


async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def serve(reader, writer):
    there, away = await asyncio.open_unix_connection(sys.argv[2])
    await asyncio.gather(copy(reader, away), copy(there, writer))


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
