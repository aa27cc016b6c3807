//! The firmware of real boards, on those that QEMU has and on machines that
//! stand in for the others. Building all takes minutes.

mod firmware;
mod monitor;
mod packages;
mod project;
