//! Kinglet on an ESP32-C3, 160 MHz: the console is the USB serial port of the chip, and
//! UART0 on GPIO21 (out) and GPIO20 (in), 115,200 baud.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

use esp_hal::clock::CpuClock;
use esp_hal::time::{Duration, Instant};
use esp_hal::uart::{Config, Uart};
use esp_hal::usb_serial_jtag::{UsbSerialJtag, UsbSerialJtagTx};
use esp_hal::{main, Blocking};
use kinglet_board_common::{serve_image, Aligned, Wire};

// What the boot loader asks of a program.
#[allow(unsafe_code)]
mod description {
    esp_bootloader_esp_idf::esp_app_desc!();
}

/// The board's name.
const TITLE: &str = "ESP32-C3";

/// The image that the build was given.
static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!(env!("KINGLET_MODEL")));

/// What goes to the serial port on USB.
struct Usb {
    port: UsbSerialJtagTx<'static, Blocking>,
    is_heard: bool,
}

impl Usb {
    /// What a host leaves here longer is lost, until it takes something again.
    const PATIENCE: Duration = Duration::from_millis(100);

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let start = Instant::now();
            while self.port.write_byte_nb(byte).is_err() {
                self.is_heard &= start.elapsed() < Self::PATIENCE;
                if !self.is_heard {
                    return;
                }
            }
            self.is_heard = true;
        }
        // A host that is slow takes it later.
        let _ = self.port.flush_tx_nb();
    }
}

#[main]
fn enter() -> ! {
    let chip = esp_hal::init(esp_hal::Config::default().with_cpu_clock(CpuClock::max()));
    let (mut typed, port) = UsbSerialJtag::new(chip.USB_DEVICE).split();
    let mut usb = Usb {
        port,
        is_heard: true,
    };
    let Ok(uart) = Uart::new(chip.UART0, Config::default()) else {
        unreachable!("this is the usual rate");
    };
    let (mut input, mut output) = uart.with_rx(chip.GPIO20).with_tx(chip.GPIO21).split();
    let mut port = Wire::new(
        || {
            let mut byte = [0];
            let typed = typed.read_byte().ok();
            typed.or_else(|| matches!(input.read_buffered(&mut byte), Ok(1)).then_some(byte[0]))
        },
        |bytes| {
            usb.write(bytes);
            let mut rest = bytes;
            while let Ok(sent @ 1..) = output.write(rest) {
                rest = &rest[sent..];
            }
        },
    );
    let micros = || Instant::now().duration_since_epoch().as_micros() as u32;
    serve_image(&mut port, TITLE, micros, MODEL)
}
