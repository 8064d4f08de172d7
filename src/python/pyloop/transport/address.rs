//! Socket addresses in the form in which Python's `socket` module takes and gives them.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};
use rustix::net::{AddressFamily, SocketAddrAny, SocketAddrUnix};

/// An address as `socket.recvfrom()` gives it: none for a sender without a name.
pub(super) fn to_python<'py>(py: Python<'py>, address: Option<SocketAddrAny>) -> PyResult<Bound<'py, PyAny>> {
    let Some(address) = address else { return Ok(py.None().into_bound(py)) };
    let family = address.address_family();
    Ok(if family == AddressFamily::INET {
        let address = SocketAddrV4::try_from(address).map_err(super::os_error)?;
        (address.ip().to_string(), address.port()).into_pyobject(py)?.into_any()
    } else if family == AddressFamily::INET6 {
        let address = SocketAddrV6::try_from(address).map_err(super::os_error)?;
        (text(*address.ip()), address.port(), address.flowinfo(), address.scope_id()).into_pyobject(py)?.into_any()
    } else {
        let address = SocketAddrUnix::try_from(address).map_err(super::os_error)?;
        match address.abstract_name() {
            Some(name) => PyBytes::new(py, &[b"\0", name].concat()).into_any(),
            // A path that fills its field to the last byte but one comes with its end.
            None => {
                let path = address.path_bytes().unwrap_or_default().split(|byte| *byte == 0).next();
                OsStr::from_bytes(path.unwrap_or_default()).into_pyobject(py)?.into_any()
            }
        }
    })
}

/// The text of an address as the C library has it, which shows what stands for an IPv4 address as one.
fn text(ip: Ipv6Addr) -> String {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {
            let [.., a, b, c, d] = ip.octets();
            format!("::{}", Ipv4Addr::new(a, b, c, d))
        }
        _ => ip.to_string(),
    }
}

/// The address that `socket.sendto()` would take `object` for. None for what is not plainly one: a name to be resolved, a
/// scope by name, a mistake. The `socket` module knows what to do with those.
pub(super) fn from_python(family: AddressFamily, object: &Bound<'_, PyAny>) -> Option<SocketAddrAny> {
    if family == AddressFamily::UNIX {
        return unix_from_python(object);
    }
    let tuple = object.cast::<PyTuple>().ok()?;
    let item = |index| tuple.get_borrowed_item(index).ok();
    let host = tuple.get_item(0).ok()?.cast_into::<PyString>().ok()?;
    let host = host.to_str().ok()?;
    let port = item(1)?.extract().ok()?;
    if family == AddressFamily::INET {
        let ip: Ipv4Addr = (tuple.len() == 2).then(|| host.parse().ok())??;
        return Some(SocketAddrV4::new(ip, port).into());
    }
    let ip: Ipv6Addr = (2..=4).contains(&tuple.len()).then(|| host.parse().ok())??;
    let number = |index| if tuple.len() > index { item(index)?.extract::<u32>().ok() } else { Some(0) };
    let flow = number(2).filter(|flow| *flow <= 0xf_ffff)?;
    Some(SocketAddrV6::new(ip, port, flow, number(3)?).into())
}

fn unix_from_python(object: &Bound<'_, PyAny>) -> Option<SocketAddrAny> {
    let name = match object.cast::<PyString>() {
        // Others depend on the encoding of file names.
        Ok(text) => text.to_str().ok().filter(|text| text.is_ascii())?.as_bytes(),
        Err(_) => object.cast::<PyBytes>().ok()?.as_bytes(),
    };
    let address = match name {
        [] => return None,
        [0, name @ ..] => SocketAddrUnix::new_abstract_name(name),
        // One byte longer it would still fit, without its end; the `socket` module refuses that.
        path if path.len() >= 108 => return None,
        path => SocketAddrUnix::new(path),
    };
    address.ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_gives_comes_back() {
        Python::initialize();
        crate::python::attach::at(crate::service::LeafKind::Python, |py| {
            let same = |family, object: &std::ffi::CStr| {
                let object = py.eval(object, None, None).unwrap();
                let back = to_python(py, from_python(family, &object)).unwrap();
                assert!(object.eq(&back).unwrap(), "{object:?} became {back:?}");
            };
            same(AddressFamily::INET, c"('1.2.3.4', 65535)");
            same(AddressFamily::INET6, c"('fe80::1', 80, 0x12345, 7)");
            same(AddressFamily::INET6, c"('::1.2.3.4', 80, 0, 0)");
            same(AddressFamily::UNIX, c"'/run/socket'");
            same(AddressFamily::UNIX, c"b'\\0abstract\\0with zeros'");
            same(AddressFamily::UNIX, c"'x' * 107");
            same(AddressFamily::UNIX, c"b'\\0' + b'x' * 107");
        });
    }

    #[test]
    fn what_needs_the_socket_module_is_left_to_it() {
        Python::initialize();
        crate::python::attach::at(crate::service::LeafKind::Python, |py| {
            let is_left = |family, object: &std::ffi::CStr| {
                let object = py.eval(object, None, None).unwrap();
                assert!(from_python(family, &object).is_none(), "{object:?}");
            };
            for object in [c"('localhost', 1)", c"('1.2.3.4', 65536)", c"('1.2.3.4', '1')", c"['1.2.3.4', 1]"] {
                is_left(AddressFamily::INET, object);
            }
            for object in [c"('1.2.3.4', 1, 0)", c"('127.1', 1)", c"(b'1.2.3.4', 1)", c"('::1', 1)", c"()", c"None"] {
                is_left(AddressFamily::INET, object);
            }
            for object in [c"('fe80::1%lo', 1)", c"('::1', 1, 0x100000)", c"('::1', 1, 0, -1)", c"('::1', 1, 0, 0, 0)"]
            {
                is_left(AddressFamily::INET6, object);
            }
            for object in [c"''", c"b''", c"'\\xfc'", c"'x' * 108", c"'a\\0b'", c"('path',)"] {
                is_left(AddressFamily::UNIX, object);
            }
        });
    }

    #[test]
    fn what_stands_for_an_older_address_is_shown_as_one() {
        let shown = |ip: &str| text(ip.parse().unwrap());
        assert_eq!(shown("::1.2.3.4"), "::1.2.3.4");
        assert_eq!(shown("::ffff:1.2.3.4"), "::ffff:1.2.3.4");
        assert_eq!(shown("::1"), "::1");
        assert_eq!(shown("::1:1"), "::0.1.0.1");
        assert_eq!(shown("fe80::1:0:0:1"), "fe80::1:0:0:1");
    }
}
