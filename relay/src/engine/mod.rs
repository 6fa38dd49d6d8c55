//! Sockets and the kernel. Nothing here knows what the bytes mean.

pub mod listener;
mod socket_file;
