//! What was measured, as a table and as JSON, and what was promised of it.

use anyhow::{Result, ensure};

/// For a million jobs: the name, the most it may be, and the promise.
const PROMISED: [(&str, f64); 7] = [
    ("submit_s", 120.0),
    ("start_after_kill_s", 5.0),
    ("start_after_stop_s", 5.0),
    ("jobs_ms", 50.0),
    ("daemon_hwm_mib", 512.0),
    ("start_hwm_mib", 512.0),
    ("rebuild_hwm_mib", 512.0),
];

/// The figures for one number of jobs, by name, in the order they were measured.
pub struct Row {
    jobs: u64,
    figures: Vec<(&'static str, f64)>,
}

impl Row {
    pub fn new(jobs: u64) -> Self {
        Self { jobs, figures: Vec::new() }
    }

    pub fn set(&mut self, name: &'static str, figure: f64) {
        self.figures.push((name, figure));
    }

    fn get(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(known, _)| *known == name).map(|(_, figure)| *figure)
    }

    pub fn json(&self) -> serde_json::Value {
        let mut all = serde_json::Map::new();
        all.insert("jobs".into(), self.jobs.into());
        all.extend(self.figures.iter().map(|(name, figure)| ((*name).into(), (*figure).into())));
        all.into()
    }
}

/// A column for each number of jobs.
pub fn print(rows: &[Row]) {
    let Some(last) = rows.last() else { return };
    print!("\n{:24}", "jobs");
    rows.iter().for_each(|row| print!("{:>12}", row.jobs));
    println!();
    for (name, _) in &last.figures {
        print!("{name:24}");
        for row in rows {
            let figure = row.get(name).unwrap_or(f64::NAN);
            let decimals = if figure < 10.0 { 3 } else { 1 };
            print!("{figure:>12.decimals$}");
        }
        println!();
    }
}

/// Fails where a promise does not hold.
pub fn hold(rows: &[Row]) -> Result<()> {
    let mut broken = Vec::new();
    for row in rows {
        for (name, most) in PROMISED {
            let figure = row.get(name).unwrap_or(f64::INFINITY);
            if figure > most {
                broken.push(format!("{name} with {} jobs: {figure:.2}, not {most}", row.jobs));
            }
        }
    }
    ensure!(broken.is_empty(), "promised and not held:\n  {}", broken.join("\n  "));
    Ok(())
}
