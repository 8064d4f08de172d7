use std::net::IpAddr;

use ipnet::IpNet;

use crate::ConfigError;

/// How many bits go before the IPv4 address in an IPv6 one.
const MAPPED: u8 = 96;

/// Reads an address or a network of proxies.
///
/// # Errors
/// Also when it is that of all addresses; `otherwise` says what to do instead.
pub(crate) fn network(setting: &str, text: &str, otherwise: &str) -> Result<IpNet, ConfigError> {
    let cure = format!("name the networks of your proxies{otherwise}");
    narrow_network(setting, text, "so clients could name any address themselves", &cure)
}

/// Reads an address or a network of `setting`, more strictly than `ipnet`: what could be meant in two ways is refused.
///
/// # Errors
/// Also when it is that of all addresses; `so` says what would come of it.
pub(crate) fn narrow_network(setting: &str, text: &str, so: &str, cure: &str) -> Result<IpNet, ConfigError> {
    let wrong = || {
        ConfigError::new(format!("{setting} holds {text:?}, which is no network"))
            .cure("write an address as 10.0.0.7 or ::1, or a network as 10.0.0.0/8 or 2001:db8::/32")
    };
    let network = match text.split_once('/') {
        None => IpNet::from(text.parse::<IpAddr>().map_err(|_| wrong())?),
        Some((address, prefix)) => {
            let address: IpAddr = address.parse().map_err(|_| wrong())?;
            let is_plain =
                prefix.bytes().all(|byte| byte.is_ascii_digit()) && (prefix == "0" || !prefix.starts_with('0'));
            let prefix = prefix.parse().ok().filter(|_| is_plain).ok_or_else(wrong)?;
            IpNet::new(address, prefix).map_err(|_| wrong())?
        }
    };
    if network.addr() != network.network() {
        return Err(ConfigError::new(format!("{setting} holds {text:?}, which has bits beyond its prefix"))
            .cure(format!("write {} for the network, {} for the one address", network.trunc(), network.addr())));
    }
    let network = canonical(network);
    if network.prefix_len() == 0 {
        return Err(ConfigError::new(format!("{setting} holds {text:?}, {so}")).cure(cure));
    }
    Ok(network)
}

/// Addresses are compared as IPv4 where they are such.
fn canonical(network: IpNet) -> IpNet {
    let mapped = match network.addr() {
        IpAddr::V6(address) => address.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    match mapped.zip(network.prefix_len().checked_sub(MAPPED)) {
        Some((address, prefix)) => IpNet::new(address.into(), prefix).unwrap_or(network),
        None => network,
    }
}
