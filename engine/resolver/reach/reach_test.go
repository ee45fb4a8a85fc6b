package reach

import (
	"net/netip"
	"testing"
)

// TestPublicAddresses has the first and the last address of every block of the
// special-purpose registries that must not be dialled, and the public addresses
// beside them.
func TestPublicAddresses(t *testing.T) {
	for address, want := range map[string]bool{
		"8.8.8.8": true, "1.0.0.0": true, "2001:4860:4860::8888": true, "2606:4700::1111": true, "::ffff:8.8.8.8": true,
		"0.0.0.0": false, "0.255.255.255": false,
		"9.255.255.255": true, "10.0.0.0": false, "10.255.255.255": false, "11.0.0.0": true,
		"100.63.255.255": true, "100.64.0.0": false, "100.127.255.255": false, "100.128.0.0": true,
		"126.255.255.255": true, "127.0.0.1": false, "127.255.255.255": false, "128.0.0.0": true,
		"169.253.255.255": true, "169.254.0.0": false, "169.254.169.254": false, "169.254.255.255": false, "169.255.0.0": true,
		"172.15.255.255": true, "172.16.0.0": false, "172.31.255.255": false, "172.32.0.0": true,
		"191.255.255.255": true, "192.0.0.0": false, "192.0.0.170": false, "192.0.0.255": false, "192.0.1.0": true,
		"192.0.2.0": false, "192.0.2.255": false, "192.0.3.0": true,
		"192.88.98.255": true, "192.88.99.0": false, "192.88.99.255": false, "192.88.100.0": true,
		"192.167.255.255": true, "192.168.0.0": false, "192.168.255.255": false, "192.169.0.0": true,
		"198.17.255.255": true, "198.18.0.0": false, "198.19.255.255": false, "198.20.0.0": true,
		"198.51.99.255": true, "198.51.100.0": false, "198.51.100.255": false, "198.51.101.0": true,
		"203.0.112.255": true, "203.0.113.0": false, "203.0.113.255": false, "203.0.114.0": true,
		"223.255.255.255": true, "224.0.0.0": false, "239.255.255.255": false, "240.0.0.0": false, "255.255.255.255": false,
		"::": false, "::1": false, "::127.0.0.1": false, "::8.8.8.8": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false,
		"64:ff9b::": false, "64:ff9b::127.0.0.1": false, "64:ff9b::169.254.169.254": false, "64:ff9b::8.8.8.8": false, "64:ff9b:1::": false, "64:ff9b:1:ffff:ffff:ffff:10.0.0.1": false,
		"100::": false, "100::ffff:ffff:ffff:ffff": false, "100:0:0:1::1": false,
		"1fff:ffff::": false, "2000::1": true, "2001::": false, "2001:0:4136:e378::1": false, "2001:1::1": false, "2001:2::1": false,
		"2001:10::1": false, "2001:20::1": false, "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff": false, "2001:200::": true,
		"2001:db7:ffff::": true, "2001:db8::": false, "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": false, "2001:db9::": true,
		"2001:ffff::": true, "2002::": false, "2002:7f00:1::": false, "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff": false, "2003::": true,
		"3ffe:ffff::": true, "3fff::": false, "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff": false, "3fff:1000::": true, "4000::": false,
		"5f00::1": false, "fc00::1": false, "fd00::1": false, "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": false,
		"fe80::1": false, "fe80::1%eth0": false, "2606:4700::1111%eth0": false, "febf::1": false, "fec0::1": false, "feff::1": false, "ff02::1": false,
	} {
		if got := Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s is public: %v", address, got)
		}
	}
}

// TestControl: what is dialled is public, or in a network that was named.
func TestControl(t *testing.T) {
	control := Control([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")})
	for address, want := range map[string]bool{
		"8.8.8.8:443": true, "10.1.2.3:443": true, "[::ffff:10.1.2.3]:443": true, "10.2.0.1:443": false, "[::1]:443": false, "127.0.0.1:80": false, "nowhere": false,
	} {
		if err := control("tcp", address, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}
