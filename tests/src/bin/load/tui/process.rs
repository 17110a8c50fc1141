//! What the kernel says of the processes that have a profile open.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};

/// All processes of one profile: the screen, and the agent if it is another one.
pub(super) struct Processes(Vec<String>);

/// What they have used up to a moment.
#[derive(Clone, Copy, Default)]
pub(super) struct Used {
    /// Time on a processor, in nanoseconds.
    pub(super) cpu_ns: u64,
    /// How often a thread went to sleep, and so how often it was woken.
    pub(super) waits: u64,
}

impl Processes {
    /// Those whose `ROOKERY_HOME` is `home`.
    pub(super) fn of(home: &Path) -> anyhow::Result<Self> {
        let wanted = format!("ROOKERY_HOME={}", home.display());
        let mut found = vec![];
        for entry in fs::read_dir("/proc")?.flatten() {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|pair| pair == wanted.as_bytes()) {
                found.push(entry.path().display().to_string());
            }
        }
        ensure!(!found.is_empty(), "no process has the profile open");
        Ok(Self(found))
    }

    /// Resident memory, in bytes.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        let mut sum = 0_u64;
        for process in &self.0 {
            let kibibytes = number_in(&fs::read_to_string(format!("{process}/status"))?, "VmRSS:")?;
            sum = sum.saturating_add(kibibytes.saturating_mul(1024));
        }
        Ok(sum)
    }

    /// What all their threads have used.
    pub(super) fn used(&self) -> anyhow::Result<Used> {
        let mut used = Used::default();
        for process in &self.0 {
            for thread in fs::read_dir(format!("{process}/task"))?.flatten() {
                // A thread may end between the look at the list and the look at it.
                let Ok(schedule) = fs::read_to_string(thread.path().join("schedstat")) else {
                    continue;
                };
                let cpu = schedule.split(' ').next().unwrap_or_default().parse::<u64>()?;
                let status = fs::read_to_string(thread.path().join("status"))?;
                let waits = number_in(&status, "voluntary_ctxt_switches:")?;
                used.cpu_ns = used.cpu_ns.saturating_add(cpu);
                used.waits = used.waits.saturating_add(waits);
            }
        }
        Ok(used)
    }
}

fn number_in(status: &str, key: &str) -> anyhow::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let line = line.with_context(|| format!("/proc has no {key}"))?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
