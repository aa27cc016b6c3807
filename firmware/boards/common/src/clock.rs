//! A clock from the core's SysTick timer.

use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::SYST;
use cortex_m_rt::exception;

/// SysTick has 24 bits; what is above is counted here.
static WRAPS: AtomicU32 = AtomicU32::new(0);

const LAST_TICK: u32 = 0x00ff_ffff;

/// Microseconds since it was started.
#[derive(Debug)]
pub struct SysTickClock {
    ticks_per_micro: NonZeroU64,
}

impl SysTickClock {
    /// Starts SysTick, which counts cycles of the core.
    pub fn start(mut syst: SYST, clock_hz: u32) -> Self {
        syst.set_clock_source(SystClkSource::Core);
        syst.set_reload(LAST_TICK);
        syst.clear_current();
        syst.enable_interrupt();
        syst.enable_counter();
        Self {
            ticks_per_micro: NonZeroU64::new(u64::from(clock_hz / 1_000_000))
                .unwrap_or(NonZeroU64::MIN),
        }
    }

    /// Modulo 2^32.
    pub fn micros(&self) -> u32 {
        let (mut wraps, mut ticks) = now();
        // A wrap between the two readings gives another count of wraps.
        while wraps != WRAPS.load(Relaxed) {
            (wraps, ticks) = now();
        }
        let ticks = u64::from(wraps) << 24 | u64::from(ticks);
        (ticks / self.ticks_per_micro) as u32
    }
}

fn now() -> (u32, u32) {
    (WRAPS.load(Relaxed), LAST_TICK - SYST::get_current())
}

// The only writer.
#[exception]
fn SysTick() {
    WRAPS.store(WRAPS.load(Relaxed).wrapping_add(1), Relaxed);
}
