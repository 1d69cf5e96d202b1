//! Every fault at every stage of a run, and every fate of an event: which outcome, which exit code.
//!
//! The table is in `snapshots/it__matrix__faults.snap`; `INSTA_UPDATE=always` writes it anew. Read the difference as
//! a user would: a cell that changes is an exit code that changes.

mod cell;
mod events;
mod faults;
#[cfg(target_os = "linux")]
mod report;

use std::fmt::Write;

use vod_refresh::emulator::{Fault, FaultRule};

pub(crate) use cell::in_paused_time;
use cell::run;
pub(crate) use faults::faults;

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The submission, with lookups alone.
    Submit,
    /// The submission, while events come.
    SubmitWithEvents,
    /// The lookup that confirms the tasks.
    Confirm,
    /// The same, where events have told of the tasks already.
    ConfirmWithEvents,
    /// The look at one task.
    Poll,
    /// The look at many.
    List,
    /// Reading events from the queue.
    Receive,
    /// Deleting them there.
    Delete,
}

impl Stage {
    const ALL: [(Self, &str); 8] = [
        (Self::Submit, "submit"),
        (Self::SubmitWithEvents, "submit, with events"),
        (Self::Confirm, "confirm"),
        (Self::ConfirmWithEvents, "confirm, with events"),
        (Self::Poll, "poll one by one"),
        (Self::List, "poll by listing"),
        (Self::Receive, "queue: receive"),
        (Self::Delete, "queue: delete"),
    ];

    fn rule(self, fault: Fault) -> FaultRule {
        match self {
            Self::Submit | Self::SubmitWithEvents => FaultRule::on("RefreshMediaPlayUrls", fault),
            Self::Confirm | Self::ConfirmWithEvents => FaultRule::on("GetMediaRefreshJobs", fault),
            Self::Poll => FaultRule::on("DescribeVodRefreshTasks", fault),
            Self::List => {
                FaultRule { task: Some(String::new()), ..FaultRule::on("DescribeVodRefreshTasks", fault) }
            }
            Self::Receive => FaultRule::on("BatchReceiveMessage", fault),
            Self::Delete => FaultRule::on("BatchDeleteMessage", fault),
        }
    }
}

#[test]
fn every_fault_at_every_stage_ends_as_the_table_says() {
    let mut table = String::new();
    for (times, title) in [(1, "Struck once"), (0, "Struck for ever, 20 minutes allowed")] {
        head(&mut table, title, "fault", Stage::ALL.map(|(_, name)| name));
        for (name, fault) in faults() {
            let cells = Stage::ALL.map(|(stage, _)| {
                run(
                    &format!("{name} at {stage:?}, times {times}"),
                    stage,
                    stage.rule(fault.clone()).times(times),
                )
            });
            row(&mut table, &name, cells);
        }
    }
    insta::assert_snapshot!("faults", table);
}

#[test]
fn everything_that_may_happen_to_an_event_ends_as_the_table_says() {
    let mut table = String::new();
    head(&mut table, "Events", "event", events::COLUMNS);
    for (name, fate) in events::fates() {
        row(&mut table, name, events::run(name, &fate));
    }
    insta::assert_snapshot!("events", table);
}

/// Messages and devices are those of Linux.
#[cfg(target_os = "linux")]
#[test]
fn every_fault_at_the_end_of_a_run_ends_as_the_table_says() {
    let mut table = String::new();
    for verdict in ["complete", "partial"] {
        let title = format!("A report file, at the end of a run that is {verdict}");
        cells_at_once(&mut table, &title, report::OF_A_FILE, report::FILES, move |fault, option| {
            report::file(fault, option, verdict)
        });
    }
    for verdict in ["complete", "partial"] {
        let title = format!("Stdout, at the end of a run that is {verdict}");
        cells_at_once(&mut table, &title, report::OF_STDOUT, report::FORMS, move |fault, form| {
            report::stdout(fault, form, verdict)
        });
    }
    cells_at_once(&mut table, "The journal", report::OF_THE_JOURNAL, report::VERDICTS, report::journal);
    let variables = ["GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"];
    cells_at_once(
        &mut table,
        "GitHub's files, at the end of a run that is partial",
        report::OF_GITHUB,
        variables,
        |fault, variable| report::github(fault, variable, "partial"),
    );
    insta::assert_snapshot!("report", table);
}

/// A table whose cells are whole processes, all of them at once: each waits some seconds for its last lookup.
#[cfg(target_os = "linux")]
fn cells_at_once<const R: usize, const C: usize>(
    table: &mut String,
    title: &str,
    faults: [&'static str; R],
    columns: [&'static str; C],
    cell: impl Fn(&'static str, &'static str) -> String + Sync,
) {
    head(table, title, "fault", columns);
    let rows = std::thread::scope(|scope| {
        let cell = &cell;
        faults
            .map(|fault| columns.map(|column| scope.spawn(move || cell(fault, column))))
            .map(|cells| cells.map(|cell| cell.join().unwrap()))
    });
    for (fault, cells) in faults.into_iter().zip(rows) {
        row(table, fault, cells);
    }
}

/// The names of the variants, as their reader knows them: a new one fails here until it has a row.
#[test]
fn every_fault_has_a_row_in_the_table() {
    let unknown = serde_json::from_str::<Fault>("\"no such fault\"").unwrap_err().to_string();
    let known: Vec<&str> = unknown.split('`').skip(3).step_by(2).collect();
    assert!(known.len() >= 15, "{unknown}");
    let rows = faults();
    for name in known {
        assert!(rows.iter().any(|(_, fault)| fault.name() == name), "{name} has no row");
    }
}

fn head<const N: usize>(table: &mut String, title: &str, first: &str, columns: [&str; N]) {
    if !table.is_empty() {
        table.push('\n');
    }
    writeln!(table, "### {title}\n\n| {first} | {} |", columns.join(" | ")).unwrap();
    writeln!(table, "|{}", " --- |".repeat(N + 1)).unwrap();
}

fn row<const N: usize>(table: &mut String, name: &str, cells: [impl ToString; N]) {
    let cells = cells.map(|cell| cell.to_string());
    writeln!(table, "| {name} | {} |", cells.join(" | ")).unwrap();
}
