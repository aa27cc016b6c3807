//! The firmware of real boards, on those that QEMU has and on machines that
//! stand in for the others, and a Pico in an emulator of its chip. Building all takes minutes.

mod firmware;
mod monitor;
mod packages;
mod project;
mod rp2040;
