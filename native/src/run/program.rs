//! The program: a process in a group of its own, its lines as they come, the end of what it complained, and its death.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A program that runs. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    lines: mpsc::Receiver<Line>,
    complaints: Arc<Mutex<Vec<u8>>>,
    complaining: JoinHandle<()>,
    ended: Option<(io::Result<ExitStatus>, Instant)>,
}

/// A line of standard output, without its end; or a piece of one that is very long.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) text: String,
    /// Whether it is whole, or the last piece.
    pub(super) ended: bool,
}

/// What a program does next.
#[derive(Debug)]
pub(super) enum Step {
    /// It prints.
    Prints(Vec<Line>),
    /// It has ended, and printed everything.
    Ends(io::Result<ExitStatus>),
}

impl Program {
    /// Starts a program and writes `input` to it.
    pub(super) fn start(command: &[String], input: String, environment: &[(&'static str, String)]) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or_else(|| io::Error::other("no program"))?;
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().map(|(name, value)| (*name, value.as_str())));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // What the program starts dies with it; and a Ctrl-C is ours to handle.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn()?;
        let absent = || io::Error::other("no pipe");
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (mut stdin, stdout, stderr) =
            (stdin.ok_or_else(absent)?, stdout.ok_or_else(absent)?, stderr.ok_or_else(absent)?);
        // It need not read it.
        tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
        let (sender, lines) = mpsc::channel(BATCH);
        tokio::spawn(read_lines(stdout, sender));
        let complaints = Arc::default();
        let complaining = tokio::spawn(pass_on(stderr, Arc::clone(&complaints)));
        Ok(Self { child, lines, complaints, complaining, ended: None })
    }

    /// What it does next. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            let mut lines = Vec::new();
            let until = self.ended.as_ref().map(|(_, at)| *at + LINGER);
            tokio::select! {
                biased;
                count = self.lines.recv_many(&mut lines, BATCH) => {
                    if count > 0 {
                        return Step::Prints(lines);
                    }
                    if self.ended.is_none() {
                        let status = self.child.wait().await;
                        self.ended = Some((status, Instant::now()));
                    }
                    return self.end();
                }
                status = self.child.wait(), if until.is_none() => self.ended = Some((status, Instant::now())),
                // A process that it left behind holds its output open.
                () = tokio::time::sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return self.end(),
            }
        }
    }

    fn end(&mut self) -> Step {
        Step::Ends(self.ended.take().map_or_else(|| Err(io::Error::other("it has ended before")), |(status, _)| status))
    }

    /// Kills it, and what it started.
    pub(super) fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(group) =
            self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.start_kill();
    }

    /// The end of what it wrote on standard error.
    pub(super) async fn complaint(&mut self) -> String {
        let _ = tokio::time::timeout(LINGER, &mut self.complaining).await;
        let tail = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&tail).trim().to_owned()
    }
}

/// Why a program's run failed, if it did.
pub(super) fn failure(status: &io::Result<ExitStatus>, complaint: &str) -> Option<String> {
    let what = match status {
        Ok(status) if status.success() => return None,
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    Some(if complaint.is_empty() { what } else { format!("{what}: {complaint}") })
}

/// Whether there is such a program, so that a mistyped name is found before the first wake.
pub(super) fn find(command: &[String]) -> Result<(), String> {
    let program = command.first().map_or("", String::as_str);
    let missing = || format!("`{program}` is not a program; a file in this directory is called ./{program}");
    if program.contains('/') {
        return if Path::new(program).is_file() { Ok(()) } else { Err(format!("there is no program `{program}`")) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| {
        directory.join(program).is_file()
            || directory.join(format!("{program}{}", std::env::consts::EXE_SUFFIX)).is_file()
    });
    if found { Ok(()) } else { Err(missing()) }
}

async fn read_lines(stdout: ChildStdout, lines: mpsc::Sender<Line>) {
    let mut stdout = BufReader::new(stdout);
    let mut bytes = Vec::new();
    loop {
        let mut piece = (&mut stdout).take((LONGEST - bytes.len()) as u64);
        let read = piece.read_until(b'\n', &mut bytes).await.unwrap_or(0);
        let ended = bytes.last() == Some(&b'\n');
        if read == 0 && bytes.is_empty() {
            return;
        }
        if !ended && read > 0 && bytes.len() < LONGEST {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']).to_owned();
        bytes.clear();
        // The last line may lack its end.
        let line = Line { text, ended: ended || read == 0 };
        if lines.send(line).await.is_err() {
            return;
        }
    }
}

/// Passes standard error on, and keeps its end.
async fn pass_on(mut stderr: ChildStderr, tail: Arc<Mutex<Vec<u8>>>) {
    let mut piece = [0; 4096];
    let mut ours = tokio::io::stderr();
    while let Ok(read @ 1..) = stderr.read(&mut piece).await {
        let _ = ours.write_all(&piece[..read]).await;
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&piece[..read]);
        let excess = tail.len().saturating_sub(COMPLAINT);
        tail.drain(..excess);
    }
}

/// How many lines are taken at once.
const BATCH: usize = 256;
/// The longest piece of a line.
const LONGEST: usize = 256 << 10;
/// How much of standard error is told.
const COMPLAINT: usize = 1500;
/// How long output may come after the program has ended.
const LINGER: Duration = Duration::from_millis(300);

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    async fn all(script: &str, input: &str) -> (Vec<Line>, io::Result<ExitStatus>, String) {
        let command = ["sh".to_owned(), "-c".to_owned(), script.to_owned()];
        let mut program = Program::start(&command, input.to_owned(), &[("WORD", "héllo".to_owned())]).unwrap();
        let mut printed = Vec::new();
        loop {
            match program.next().await {
                Step::Prints(lines) => printed.extend(lines),
                Step::Ends(status) => return (printed, status, program.complaint().await),
            }
        }
    }

    #[tokio::test]
    async fn a_program_reads_prints_complains_and_ends() {
        let (lines, status, complaint) = all("cat; echo $WORD; printf tail; echo oh no >&2; exit 3", "in\n").await;
        let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["in", "héllo", "tail"]);
        assert!(lines.iter().all(|line| line.ended));
        assert_eq!(failure(&status, &complaint).unwrap(), "exit status: 3: oh no");
        let (lines, status, complaint) = all("true", &"x".repeat(1 << 20)).await;
        assert!(lines.is_empty() && failure(&status, &complaint).is_none(), "it need not read");
    }

    #[tokio::test]
    async fn long_lines_come_in_pieces() {
        let (lines, ..) = all(&format!("head -c {} /dev/zero | tr '\\0' x; echo; echo end", LONGEST + 10), "").await;
        let shape: Vec<(usize, bool)> = lines.iter().map(|line| (line.text.len(), line.ended)).collect();
        assert_eq!(shape, [(LONGEST, false), (10, true), (3, true)]);
    }

    #[tokio::test]
    async fn what_a_program_leaves_behind_keeps_nobody_waiting() {
        let start = Instant::now();
        let (lines, status, _) = all("sleep 5 & echo done", "").await;
        assert!(lines.len() == 1 && status.unwrap().success());
        assert!(start.elapsed() < Duration::from_secs(4));
    }

    #[tokio::test]
    async fn killing_it_kills_what_it_started() {
        let command = ["sh".to_owned(), "-c".to_owned(), "(sleep 1; echo alive) & echo up; wait".to_owned()];
        let mut program = Program::start(&command, String::new(), &[]).unwrap();
        assert!(matches!(program.next().await, Step::Prints(_)));
        program.kill();
        let start = Instant::now();
        assert!(matches!(program.next().await, Step::Ends(Ok(status)) if !status.success()));
        assert!(start.elapsed() < Duration::from_millis(250), "its output is closed at once");
    }

    #[test]
    fn a_mistyped_program_is_found_at_once() {
        let find = |name: &str| find(&[name.to_owned()]);
        assert!(find("sh").is_ok() && find("/bin/sh").is_ok());
        assert!(find("agent-that-is-not.sh").unwrap_err().contains("./agent-that-is-not.sh"));
        assert!(find("./agent-that-is-not.sh").is_err());
    }
}
