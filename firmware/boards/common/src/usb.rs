//! A serial port on USB (CDC), for chips that have a crate for it. An interrupt
//! serves the bus while the model is at work: a host waits a few
//! milliseconds for some answers, a token may take longer.

use core::cell::RefCell;
use core::fmt;
use critical_section::Mutex;
use heapless::Deque;
use usb_device::bus::UsbBus;
pub use usb_device::bus::UsbBusAllocator as UsbAllocator;
use usb_device::device::{
    StringDescriptors, UsbDevice, UsbDeviceBuilder, UsbDeviceState, UsbVidPid,
};
use usb_device::LangID;
use usbd_serial::{SerialPort, USB_CLASS_CDC};

/// Numbers that are shared by serial ports of experiments: a product needs its own.
const VID_PID: UsbVidPid = UsbVidPid(0x16c0, 0x27dd);

const MANUFACTURER: &str = "Kinglet";

/// Bytes of a packet of questions and answers about the port.
const CONTROL_BYTES: u8 = 64;

/// Bytes that can come while the model is at work; what else the host has waits there.
const TYPED_BYTES: usize = 256;

/// The port, for a static variable that the program and the interrupt share.
pub struct UsbSerial<B: UsbBus + 'static>(Mutex<RefCell<Option<Port<B>>>>);

impl<B: UsbBus> fmt::Debug for UsbSerial<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UsbSerial")
    }
}

impl<B: UsbBus> Default for UsbSerial<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: UsbBus> UsbSerial<B> {
    /// Not on the bus yet.
    pub const fn new() -> Self {
        Self(Mutex::new(RefCell::new(None)))
    }

    /// Goes on the bus, as a board of this name.
    pub fn start(&self, bus: &'static UsbAllocator<B>, product: &'static str) {
        let port = Port::new(bus, product);
        critical_section::with(|cs| *self.0.borrow(cs).borrow_mut() = port);
    }

    /// Serves the bus. Returns whether more may come: otherwise the
    /// interrupt has to wait for a [`read`](Self::read), as it would come again at once.
    pub fn serve(&self) -> bool {
        self.with(Port::serve).unwrap_or(false)
    }

    /// Takes a byte if there is one.
    pub fn read(&self) -> Option<u8> {
        self.with(|port| {
            port.serve();
            port.typed.pop_front()
        })
        .flatten()
    }

    /// Sends bytes. What nobody listens to is lost, as on a UART.
    pub fn write(&self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.with(|port| port.write(bytes));
            bytes = bytes.get(taken.unwrap_or(bytes.len())..).unwrap_or(&[]);
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Port<B>) -> T) -> Option<T> {
        critical_section::with(|cs| self.0.borrow(cs).borrow_mut().as_mut().map(work))
    }
}

struct Port<B: UsbBus + 'static> {
    // Before the device, which takes no part after it.
    serial: SerialPort<'static, B>,
    device: UsbDevice<'static, B>,
    typed: Deque<u8, TYPED_BYTES>,
}

impl<B: UsbBus> Port<B> {
    /// None where a name is too long for USB.
    fn new(bus: &'static UsbAllocator<B>, product: &'static str) -> Option<Self> {
        let serial = SerialPort::new(bus);
        let names = StringDescriptors::new(LangID::EN_US);
        let names = names.manufacturer(MANUFACTURER).product(product);
        let device = UsbDeviceBuilder::new(bus, VID_PID).strings(&[names]).ok()?;
        let device = device.max_packet_size_0(CONTROL_BYTES).ok()?;
        let device = device.device_class(USB_CLASS_CDC).build();
        Some(Self {
            serial,
            device,
            typed: Deque::new(),
        })
    }

    fn serve(&mut self) -> bool {
        self.device.poll(&mut [&mut self.serial]);
        let mut byte = [0];
        while !self.typed.is_full() {
            match self.serial.read(&mut byte) {
                Ok(1) => {
                    let _ = self.typed.push_back(byte[0]);
                }
                _ => return true,
            }
        }
        false
    }

    /// Bytes that are taken.
    fn write(&mut self, bytes: &[u8]) -> usize {
        self.serve();
        let is_heard = self.device.state() == UsbDeviceState::Configured && self.serial.dtr();
        if !is_heard {
            return bytes.len();
        }
        self.serial.write(bytes).unwrap_or(0)
    }
}
