//! D-Bus: without it `switch-to-configuration` ends before it touches a unit,
//! and no program can be run in a unit and waited for.

use std::os::unix::net::UnixStream;

use super::Layout;

/// The unit that listens for it, whichever daemon answers.
const UNIT: &str = "dbus.socket";

/// Where it listens.
const SOCKET: &str = "/run/dbus/system_bus_socket";

/// Whether somebody listens. Another root's bus is not ours to judge.
pub fn listens(layout: &Layout) -> bool {
    !layout.is_live() || UnixStream::connect(SOCKET).is_ok()
}

/// The unit to blame when nobody does. It need not have failed: it may have
/// been stopped.
pub fn ailing(layout: &Layout) -> Option<String> {
    (!listens(layout)).then(|| UNIT.to_owned())
}
