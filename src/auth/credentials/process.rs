//! A program of this machine: started, watched to its end, and what it left behind.

use std::io::{self, IsTerminal as _};
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// What is read of a process's output, in bytes, and of its words for people.
const MAX_OUTPUT: u64 = 64 * 1024;
/// After a process has ended, what it wrote stands in its pipes; a process that it left behind may hold them open for ever.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

/// What a process left behind.
#[derive(Clone, Default)]
pub struct ProcessOutput {
    /// Whether it ended with status 0.
    pub success: bool,
    /// How it ended, for people: `exit status: 3`.
    pub status: String,
    /// Its standard output, cut after 64 KiB. As good as a secret.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, cut after 64 KiB; empty where that went to the terminal.
    pub stderr: Vec<u8>,
}

/// Runs a program of this machine, without a shell. The future kills it when dropped.
///
/// It may ask a person something: at `/dev/tty`, and where standard input and error are a terminal, there. Otherwise it has no
/// input, for what comes on ours is not its own. Its output is what it wrote until it ended, even where a process that it left
/// behind holds the pipe open.
pub(super) async fn run_process(command: Vec<String>) -> io::Result<ProcessOutput> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let has_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(if has_terminal { Stdio::inherit() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(if has_terminal { Stdio::inherit() } else { Stdio::piped() })
        .kill_on_drop(true)
        .spawn()?;
    let mut output = ProcessOutput::default();
    let status = {
        let stdout = read_pipe(child.stdout.take(), &mut output.stdout);
        let stderr = read_pipe(child.stderr.take(), &mut output.stderr);
        let mut reading = pin!(async { tokio::join!(stdout, stderr) });
        tokio::select! {
            status = child.wait() => {
                let _ = tokio::time::timeout(DRAIN_TIMEOUT, reading).await;
                status?
            }
            _ = &mut reading => child.wait().await?,
        }
    };
    (output.success, output.status) = (status.success(), status.to_string());
    Ok(output)
}

/// Reads the beginning of what comes through `pipe`, then closes it: a program that prints on for ever ends by that.
async fn read_pipe(pipe: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) {
    if let Some(pipe) = pipe {
        // What was read before a failure is there.
        let _ = pipe.take(MAX_OUTPUT).read_to_end(into).await;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(line: &str) -> Vec<String> {
        ["/bin/sh", "-c", line].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn a_real_process_is_run_without_a_shell() {
        let output = run_process(["/bin/echo", "$HOME"].map(str::to_owned).to_vec()).await.unwrap();
        assert!(output.success);
        assert_eq!(output.stdout, b"$HOME\n");
        assert!(run_process(vec!["/no/such/program".to_owned()]).await.is_err());
    }

    #[tokio::test]
    async fn a_process_that_prints_for_ever_is_cut_off() {
        let output = run_process(sh("while :; do echo yyyyyyyyyyyyyyyy; done")).await.unwrap();
        assert_eq!(output.stdout.len() as u64, MAX_OUTPUT);
    }
    #[tokio::test]
    async fn h26_a_process_that_fails_leaves_its_words_and_its_status() {
        let output = run_process(sh("echo out; echo no such realm >&2; exit 3")).await.unwrap();
        assert!(!output.success);
        assert_eq!(
            (output.status.as_str(), output.stdout.as_slice(), output.stderr.as_slice()),
            ("exit status: 3", &b"out\n"[..], &b"no such realm\n"[..])
        );
    }

    /// What it leaves behind holds its pipes open.
    #[tokio::test]
    async fn h26_the_output_is_taken_when_the_process_itself_ends() {
        let begun = tokio::time::Instant::now();
        let output = run_process(sh("sleep 20 & echo $!; head -c 60000 /dev/zero")).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        let (number, zeros) = output.stdout.split_at(output.stdout.iter().position(|b| *b == b'\n').unwrap());
        assert!(output.success && zeros.len() == 60_001, "{}", zeros.len());
        let number = String::from_utf8(number.to_owned()).unwrap();
        std::process::Command::new("kill").arg(number).status().unwrap();
    }

    #[tokio::test]
    async fn a_process_is_killed_when_nobody_waits_for_it_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let number = folder.path().join("number");
        let line = format!("echo $$ > {}; exec sleep 20", number.display());
        let running = tokio::time::timeout(Duration::from_millis(500), run_process(sh(&line))).await;
        assert!(running.is_err());
        let number = std::fs::read_to_string(number).unwrap();
        for _ in 0..400 {
            let known = std::process::Command::new("kill").args(["-0", number.trim()]).output().unwrap();
            let is_dead = || {
                let state = std::fs::read_to_string(format!("/proc/{}/stat", number.trim()));
                // It stays known where nobody asks how it ended.
                state.is_ok_and(|text| text.contains(") Z "))
            };
            if !known.status.success() || is_dead() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the process lives on");
    }
}
