use proptest::prelude::*;

use super::*;

fn blocked(address: &str) -> bool {
    check(address.parse().unwrap()).is_err()
}

#[test]
fn addresses_of_every_kind() {
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
        "::",
        "::1",
        "::7f00:1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "3fff::1",
        "2001::1",
        "100::1",
        "64:ff9b:1::1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "::ffff:0:10.1.2.3",
        "64:ff9b::192.168.0.1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::",
        "4000::1",
        "::8.8.8.8",
    ] {
        assert!(blocked(address), "{address} must be refused");
    }
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
    ] {
        assert!(!blocked(address), "{address} must be allowed");
    }
}

#[test]
fn urls_however_the_address_is_written() {
    for url in [
        "http://localhost/",
        "http://LOCALHOST:80/",
        "http://localhost./",
        "http://a.localhost/",
        "http://127.1/",
        "http://0x7f.0.0.1/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://user@10.0.0.1/",
        "http://0/",
        "http://127.0.0.1./",
        "http://①②⑦.0.0.1/",
        "data:text/plain,x",
    ] {
        assert!(
            check_url(&Url::parse(url).unwrap()).is_err(),
            "{url} must be refused"
        );
    }
    for url in [
        "https://example.com/",
        "http://8.8.8.8:8080/x",
        "http://notlocalhost/",
    ] {
        assert_eq!(
            check_url(&Url::parse(url).unwrap()),
            Ok(()),
            "{url} must be allowed"
        );
    }
}

/// The standard library's own words for the kinds it knows.
fn known_private(v4: Ipv4Addr) -> bool {
    v4.is_private()
        || v4.is_loopback()
        || v4.is_link_local()
        || v4.is_broadcast()
        || v4.is_documentation()
        || v4.is_multicast()
        || v4.is_unspecified()
}

fn forms(v4: Ipv4Addr) -> [Ipv6Addr; 4] {
    let bits = v4.to_bits();
    let (high, low) = ((bits >> 16) as u16, bits as u16);
    [
        v4.to_ipv6_mapped(),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
    ]
}

proptest! {
    #[test]
    fn an_ipv4_address_is_judged_alike_in_every_form(bits in any::<u32>()) {
        let v4 = Ipv4Addr::from_bits(bits);
        for form in forms(v4) {
            prop_assert_eq!(check(form.into()), check(v4.into()));
        }
        if known_private(v4) {
            prop_assert!(check(v4.into()).is_err());
        }
    }

    #[test]
    fn all_of_a_blocked_net_is_blocked(which in 0..BLOCKED_V4.len(), host in any::<u32>()) {
        let (net, length, _) = BLOCKED_V4[which];
        let mask = u32::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        let v4 = Ipv4Addr::from_bits(net.to_bits() | host & mask);
        prop_assert!(check(v4.into()).is_err());
    }

    #[test]
    fn ipv6_outside_of_global_unicast_is_blocked_unless_it_carries_public_ipv4(bits in any::<u128>()) {
        let v6 = Ipv6Addr::from_bits(bits);
        if bits >> 125 != 1 && embedded_v4(v6).is_none() {
            prop_assert!(check(v6.into()).is_err());
        }
    }

    #[test]
    fn unique_local_and_link_local_are_blocked(bits in any::<u128>()) {
        let low = bits >> 16;
        for prefix in [0xfc00u128, 0xfdff, 0xfe80, 0xfebf, 0xff0e] {
            prop_assert!(check(Ipv6Addr::from_bits(prefix << 112 | low).into()).is_err());
        }
    }
}
