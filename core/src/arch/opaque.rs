//! A number that the compiler knows nothing of.

/// The number itself, of which the compiler knows nothing where it would find a
/// choice in what follows, and a branch for it.
#[cfg_attr(kinglet_fast, inline(always))]
pub(crate) fn opaque(x: i32) -> i32 {
    #[cfg(any(kinglet_armv6m, kinglet_riscv))]
    {
        let mut x = x;
        // SAFETY: no instruction at all.
        unsafe {
            core::arch::asm!("/* {x} */", x = inlateout(reg) x, options(pure, nomem, nostack, preserves_flags));
        }
        return x;
    }
    #[allow(unreachable_code)]
    x
}
