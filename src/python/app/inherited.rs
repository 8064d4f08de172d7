#![allow(unsafe_code)] // A number from outside names the socket.
//! A listening socket that another process has opened.

use std::io;
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, RawFd};

use socket2::{Socket, Type};

use crate::ConfigError;

/// The socket with this number, which stays open under it as well.
///
/// # Errors
/// When it is none, or does not listen on a TCP port.
pub(super) fn listener(fd: RawFd) -> Result<TcpListener, ConfigError> {
    let wrong = |what: &str| {
        ConfigError::new(format!("the descriptor {fd} {what}"))
            .cure("hand over a TCP socket that listens, as systemd and circus do, and give its number")
    };
    let socket = duplicate(fd).map_err(|error| wrong(&format!("cannot be taken over: {error}")))?;
    match (socket.r#type(), socket.is_listener()) {
        (Ok(Type::STREAM), Ok(true)) => {}
        (Ok(_), Ok(_)) => return Err(wrong("is a socket that does not listen")),
        _ => return Err(wrong("is no socket")),
    }
    if socket.local_addr().ok().and_then(|address| address.as_socket()).is_none() {
        return Err(wrong("listens on no TCP port"));
    }
    Ok(socket.into())
}

fn duplicate(fd: RawFd) -> io::Result<Socket> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(rustix::io::Errno::BADF.raw_os_error()));
    }
    // SAFETY: it is not -1, it is only handed to fcntl at once, and the kernel answers EBADF for a number that is not
    // open. Nothing is read or written through it.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    Ok(Socket::from(fd.try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_socket_that_listens_is_taken_over() -> io::Result<()> {
        let outer = TcpListener::bind("127.0.0.1:0")?;
        let inner = listener(outer.as_raw_fd()).map_err(io::Error::other)?;
        assert_eq!(inner.local_addr()?, outer.local_addr()?);
        assert_ne!(inner.as_raw_fd(), outer.as_raw_fd());
        Ok(())
    }

    #[test]
    fn what_is_none_is_refused() -> io::Result<()> {
        let error = |fd| listener(fd).map_or_else(|error| error.to_string(), |_| String::new());
        assert!(error(-1).contains("the descriptor -1 cannot be taken over"), "{}", error(-1));
        let file = std::fs::File::open("Cargo.toml")?;
        assert!(error(file.as_raw_fd()).contains("is no socket"));
        let datagrams = std::net::UdpSocket::bind("127.0.0.1:0")?;
        assert!(error(datagrams.as_raw_fd()).contains("does not listen"));
        let local =
            std::os::unix::net::UnixListener::bind(std::env::temp_dir().join(format!("zg-{}", std::process::id())))?;
        assert!(error(local.as_raw_fd()).contains("listens on no TCP port"));
        Ok(())
    }
}
