package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// ownNetwork is in the environment of a test that runs in its own network.
const ownNetwork = "MEDIAKIT_OWN_NETWORK"

// inOwnNetwork runs the calling test again, in a process that has a network to
// itself: a loopback interface that does multicast, which a machine's own
// usually does not. There it returns false and the test does its work. In the
// process it is called in first it returns true when that is done; and false if
// the kernel refuses, which it says loudly, so that the test does without.
func inOwnNetwork(t *testing.T) (done bool) {
	t.Helper()
	if os.Getenv(ownNetwork) != "" {
		return false
	}
	const setUp = "ip link set lo up && ip link set lo multicast on && ip route add 224.0.0.0/4 dev lo"
	for _, flags := range []string{"-n", "-rn"} { // as root, and as anybody where that is allowed
		if out, err := execute("unshare", flags, "sh", "-c", setUp); err != nil {
			t.Logf("unshare %s: %v %s", flags, err, out)
			continue
		}
		cmd := exec.Command("unshare", flags, "sh", "-c", setUp+` && exec "$0" "$@"`, os.Args[0],
			"-test.run=^"+t.Name()+"$", "-test.v", fmt.Sprintf("-test.short=%v", testing.Short()), "-test.timeout=5m")
		cmd.Env = append(os.Environ(), ownNetwork+"=1")
		p := startCmd(t, cmd)
		if err := p.wait(4 * patience); err != nil {
			t.Errorf("in its own network: %v\n%s", err, p.stdout.String())
		}
		return true
	}
	note(fmt.Sprintf("%s: multicast, as the kernel grants no network namespace\n", t.Name()))
	return false
}

// multicast reports whether the loopback interface does multicast.
func multicast() bool { return os.Getenv(ownNetwork) != "" }
