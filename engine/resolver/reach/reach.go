// Package reach says which addresses a server may call on somebody's word, so that
// nobody can use it to look around inside of the network where it runs.
//
// It promises that the address which is really dialled is looked at, after names are
// resolved, each time; that an IPv4 address in the form of an IPv6 one counts as what
// it is. It refuses everything that the registries of IANA do not list as globally
// reachable (RFC 6890), but for networks that the house names.
package reach

import (
	"fmt"
	"net/netip"
	"syscall"
)

// Control returns a function for net.Dialer that refuses addresses which are neither
// public nor in one of the networks.
func Control(also []netip.Prefix) func(network, address string, conn syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !Public(to.Addr()) && !In(to.Addr(), also) {
			return fmt.Errorf("%s is no public address", to.Addr())
		}
		return nil
	}
}

// In reports whether an address lies in one of the networks.
func In(a netip.Addr, networks []netip.Prefix) bool {
	a = a.Unmap()
	for _, p := range networks {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// special lists what is not the address of a host on the Internet: the blocks of
// the IANA special-purpose registries (RFC 6890) that are not globally reachable,
// or that a gateway turns into any IPv4 address. Blocks with exceptions are
// listed whole, because the exceptions are anycast services and identifiers.
var special = prefixes(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private use
	"100.64.0.0/10",   // shared address space
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link local; cloud metadata
	"172.16.0.0/12",   // private use
	"192.0.0.0/24",    // IETF protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relay anycast
	"192.168.0.0/16",  // private use
	"198.18.0.0/15",   // benchmarking
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved; limited broadcast
	"2001::/23",       // IETF protocol assignments: Teredo, benchmarking, ORCHID
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4
	"3fff::/20",       // documentation
)

// unicast is all that IANA gives out of IPv6. Outside of it lie loopback, unique
// local, link local and site local addresses, multicast, discard (100::/64),
// segment routing (5f00::/16), and the forms that hold an IPv4 address: NAT64
// (64:ff9b::/96, 64:ff9b:1::/48) and IPv4-compatible (::/96).
var unicast = netip.MustParsePrefix("2000::/3")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Public reports whether an address is that of a host on the Internet.
func Public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.Is4() && !unicast.Contains(a) { // nor does it contain one with a zone
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
