//! Socket options that only Linux has. On other systems, these functions do nothing.

#[cfg(target_os = "linux")]
pub use linux::{limit_unsent, refuse_connections};
#[cfg(not(target_os = "linux"))]
pub use other::{limit_unsent, refuse_connections};

#[cfg(target_os = "linux")]
mod linux {
    use std::net::TcpListener;

    use socket2::{SockFilter, SockRef};

    /// Maximum number of bytes that the kernel holds for a client that doesn't read. By default, it is 4 MiB.
    const MAX_UNSENT: u32 = 128 * 1024;

    /// Limits the memory that the kernel uses for the responses on each connection.
    pub fn limit_unsent(listener: &TcpListener) {
        if let Err(error) = SockRef::from(listener).set_tcp_notsent_lowat(MAX_UNSENT) {
            tracing::debug!(%error, "can't limit the unsent data of a connection");
        }
    }

    /// Makes the kernel drop new connection attempts, while the connections that it has accepted wait for the server.
    /// Closing the listener right away would reset them. Dropped clients try again after a second, and reach the next
    /// instance or are refused.
    pub fn refuse_connections(listener: &TcpListener) {
        const LOAD_BYTE: u16 = 0x30;
        const JUMP_IF_ANY_BIT: u16 = 0x45;
        const RETURN: u16 = 0x06;
        const FLAGS_OFFSET: u32 = 13;
        const SYN: u32 = 0x02;
        // A packet filter sees the TCP header, and returns how many bytes of the packet to keep.
        let filter = [
            SockFilter::new(LOAD_BYTE, 0, 0, FLAGS_OFFSET),
            SockFilter::new(JUMP_IF_ANY_BIT, 0, 1, SYN),
            SockFilter::new(RETURN, 0, 0, 0),
            SockFilter::new(RETURN, 0, 0, u32::MAX),
        ];
        if let Err(error) = SockRef::from(listener).attach_filter(&filter) {
            tracing::debug!(%error, "can't refuse connections before the listener is closed");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use std::net::TcpListener;

    pub fn limit_unsent(_: &TcpListener) {}

    pub fn refuse_connections(_: &TcpListener) {}
}
