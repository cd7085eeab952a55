//! Temperature sensors, as the kernel shows them in `/sys`.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::Layout;
use super::files::at;
use crate::health::seen::Sensor;

/// Most sensors that are read.
const MOST: usize = 64;

/// Thermal zones and hardware monitors.
pub(super) fn look(layout: &Layout) -> Vec<Sensor> {
    let mut found: Vec<Sensor> = Vec::new();
    for zone in children(&layout.real("/sys/class/thermal"), "thermal_zone") {
        found.extend(of_zone(&zone));
    }
    for chip in children(&layout.real("/sys/class/hwmon"), "hwmon") {
        let name = word(&chip.join("name")).unwrap_or_else(|| "sensor".to_owned());
        for input in children(&chip, "temp") {
            found.extend(of_chip(&name, &input));
        }
    }
    found.truncate(MOST);
    found
}

fn of_zone(zone: &Path) -> Option<Sensor> {
    let critical = children(zone, "trip_point_")
        .into_iter()
        .filter_map(|trip| {
            let name = trip
                .file_name()?
                .to_str()?
                .strip_suffix("_type")?
                .to_owned();
            (word(&trip)? == "critical").then(|| zone.join(format!("{name}_temp")))
        })
        .find_map(|trip| word(&trip));
    Some(Sensor {
        input: word(&zone.join("temp"))?,
        name: word(&zone.join("type")).unwrap_or_else(|| "zone".to_owned()),
        critical,
    })
}

fn of_chip(chip: &str, input: &Path) -> Option<Sensor> {
    let number = input.file_name()?.to_str()?.strip_suffix("_input")?;
    let beside = |what: &str| word(&input.with_file_name(format!("{number}_{what}")));
    Some(Sensor {
        name: match beside("label") {
            Some(label) => format!("{chip} {label}"),
            None => chip.to_owned(),
        },
        input: word(input)?,
        critical: beside("crit"),
    })
}

/// What lies in a folder and begins so, by name.
fn children(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn word(path: &Path) -> Option<String> {
    at(path).map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_and_chips_are_read_with_their_limits() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join("sys/class").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("thermal/thermal_zone0/type", "acpitz\n");
        write("thermal/thermal_zone0/temp", "45000\n");
        write("thermal/thermal_zone0/trip_point_0_type", "passive\n");
        write("thermal/thermal_zone0/trip_point_0_temp", "80000\n");
        write("thermal/thermal_zone0/trip_point_1_type", "critical\n");
        write("thermal/thermal_zone0/trip_point_1_temp", "105000\n");
        write("thermal/cooling_device0/type", "Processor\n");
        write("hwmon/hwmon1/name", "nvme\n");
        write("hwmon/hwmon1/temp1_input", "38850\n");
        write("hwmon/hwmon1/temp1_label", "Composite\n");
        write("hwmon/hwmon1/temp1_crit", "84850\n");
        let found = look(&Layout::new(dir.path(), dir.path()));
        let told: Vec<_> = found
            .iter()
            .map(|s| (s.name.as_str(), s.input.as_str(), s.critical.as_deref()))
            .collect();
        assert_eq!(
            told,
            [
                ("acpitz", "45000", Some("105000")),
                ("nvme Composite", "38850", Some("84850"))
            ]
        );
    }
}
