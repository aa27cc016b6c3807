//! Kinglet on a Raspberry Pi Pico 2, 150 MHz: the console is the USB serial port, and
//! UART0 on GP0 (out) and GP1 (in), 115,200 baud.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use kinglet_board_common::{serve, UsbAllocator, UsbSerial, Wire};
use rp235x_hal::arch::{interrupt_enable, interrupt_mask, interrupt_unmask};
use rp235x_hal::block::ImageDef;
use rp235x_hal::clocks::init_clocks_and_plls;
use rp235x_hal::fugit::RateExtU32;
use rp235x_hal::gpio::{FunctionUart, Pins, PullUp};
#[cfg(target_arch = "arm")]
use rp235x_hal::pac::interrupt;
use rp235x_hal::pac::{Interrupt, Peripherals};
use rp235x_hal::uart::{DataBits, StopBits, UartConfig, UartPeripheral};
use rp235x_hal::usb::UsbBus;
use rp235x_hal::{entry, singleton, Clock, Sio, Timer, Watchdog};

/// Tells the boot ROM that this is a program for the cores that it was compiled for, secure.
#[allow(unsafe_code)]
// SAFETY: memory.x puts the section where the boot ROM looks for it.
#[link_section = ".start_block"]
#[used]
static IMAGE_DEF: ImageDef = ImageDef::secure_exe();

/// The board's name.
const TITLE: &str = "Raspberry Pi Pico 2";

static USB: UsbSerial<UsbBus> = UsbSerial::new();

#[cfg_attr(target_arch = "arm", interrupt)]
// SAFETY: the chip's crate calls the function of this name in the interrupt.
#[cfg_attr(target_arch = "riscv32", allow(unsafe_code, non_snake_case), no_mangle)]
fn USBCTRL_IRQ() {
    if !USB.serve() {
        interrupt_mask(Interrupt::USBCTRL_IRQ);
    }
}

/// A byte from USB; now there is room for others, which the interrupt fetches.
#[allow(unsafe_code)]
fn read_usb() -> Option<u8> {
    let byte = USB.read();
    // SAFETY: no critical section is made of the mask of this interrupt.
    unsafe { interrupt_unmask(Interrupt::USBCTRL_IRQ) };
    byte
}

/// The crystal on the board.
const CRYSTAL_HZ: u32 = 12_000_000;

#[entry]
fn enter() -> ! {
    let Some(mut chip) = Peripherals::take() else {
        unreachable!("the start-up code comes here once");
    };
    let mut watchdog = Watchdog::new(chip.WATCHDOG);
    let Ok(clocks) = init_clocks_and_plls(
        CRYSTAL_HZ,
        chip.XOSC,
        chip.CLOCKS,
        chip.PLL_SYS,
        chip.PLL_USB,
        &mut chip.RESETS,
        &mut watchdog,
    ) else {
        unreachable!("these are the chip's usual clocks");
    };
    let clock = Timer::new_timer0(chip.TIMER0, &mut chip.RESETS, &clocks);
    let sio = Sio::new(chip.SIO);
    let pins = Pins::new(
        chip.IO_BANK0,
        chip.PADS_BANK0,
        sio.gpio_bank0,
        &mut chip.RESETS,
    );
    // Where no cable is, nothing is heard.
    let input = pins.gpio1.reconfigure::<FunctionUart, PullUp>();
    let pins = (pins.gpio0.into_function(), input);
    let config = UartConfig::new(115_200.Hz(), DataBits::Eight, None, StopBits::One);
    let uart = UartPeripheral::new(chip.UART0, pins, &mut chip.RESETS);
    let Ok(uart) = uart.enable(config, clocks.peripheral_clock.freq()) else {
        unreachable!("the peripheral clock allows this rate");
    };
    let bus = UsbBus::new(
        chip.USB,
        chip.USB_DPRAM,
        clocks.usb_clock,
        true,
        &mut chip.RESETS,
    );
    let bus = singleton!(: UsbAllocator<UsbBus> = UsbAllocator::new(bus));
    if let Some(bus) = bus {
        USB.start(bus, TITLE);
        // SAFETY: this is in no critical section.
        #[allow(unsafe_code)]
        unsafe {
            interrupt_enable();
        }
        // Nothing has come yet: the host asks what this is while the model is checked.
        read_usb();
    }
    let mut port = Wire::new(
        || {
            let mut byte = [0];
            read_usb().or_else(|| matches!(uart.read_raw(&mut byte), Ok(1)).then_some(byte[0]))
        },
        |bytes| {
            USB.write(bytes);
            uart.write_full_blocking(bytes);
        },
    );
    serve(&mut port, TITLE, || clock.get_counter_low())
}
