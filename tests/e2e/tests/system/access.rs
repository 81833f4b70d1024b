//! Who may do what, through the real binaries: user ids on the socket, certificates over TLS.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use e2e::{LogCheck, World, binary, images};
use nix::sys::signal::Signal;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType, date_time_ymd,
};
use tokio::process::Command;

/// `nobody`.
const STRANGER: u32 = 65_534;

struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Its certificate is `NAME-ca.pem`.
    fn new(dir: &Path, name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        std::fs::write(dir.join(format!("{name}-ca.pem")), certificate.pem())?;
        Ok(Self { dir: dir.to_owned(), issuer: Issuer::new(params, key) })
    }

    /// Writes `NAME.pem` and `NAME.key`, for this DNS name, until that year.
    fn sign(&self, name: &str, dns: &str, year: i32) -> Result<()> {
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(SanType::DnsName(dns.try_into()?));
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        std::fs::write(self.dir.join(format!("{name}.pem")), certificate.pem())?;
        let key_file = self.dir.join(format!("{name}.key"));
        std::fs::write(&key_file, key.serialize_pem())?;
        std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o600))?;
        Ok(())
    }
}

fn entry(identity: &str, role: &str) -> toml::Value {
    let keys = [("identity", identity.into()), ("role", role.into())];
    keys.map(|(key, value): (&str, toml::Value)| (key.to_owned(), value))
        .into_iter()
        .collect::<toml::Table>()
        .into()
}

/// The client, as a shell would run it; what it printed on both, and its exit code.
async fn run(command: &mut Command) -> Result<(i32, String)> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await?;
    let printed = [output.stdout, output.stderr].concat();
    Ok((output.status.code().context("it ended by itself")?, String::from_utf8(printed)?))
}

fn client(endpoint: &str, args: &[&str]) -> Command {
    let mut command = Command::new(binary("causeway"));
    command.args(["--endpoint", endpoint]).args(args).env_remove("CAUSEWAY_ENDPOINT");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_the_machine_may_do_what_its_entry_says() -> Result<()> {
    let mut world = World::new().await?;
    world.put("ami-0abc.bin", images(1 << 20)).await?;
    std::fs::set_permissions(world.path(""), std::fs::Permissions::from_mode(0o755))?;
    // A client that another user may run.
    let program = world.path("causeway");
    std::fs::copy(binary("causeway"), &program)?;
    let as_stranger = |world: &World, args: &[&str]| {
        let mut command = Command::new(&program);
        command.args(["--endpoint", &world.config.control_endpoint()]).args(args).uid(STRANGER);
        command
    };
    let daemon = world.start().await?;
    let socket = std::fs::metadata(world.path("control.sock"))?;
    ensure!(socket.permissions().mode() & 0o777 == 0o600, "{socket:?}");
    let (code, printed) = run(&mut as_stranger(&world, &["status"])).await?;
    ensure!(code == 3 && printed.contains("ermission denied"), "{code} {printed}");
    // Somebody opened the door: the kernel still tells who it is.
    let open = std::fs::Permissions::from_mode(0o666);
    std::fs::set_permissions(world.path("control.sock"), open)?;
    let (code, printed) = run(&mut as_stranger(&world, &["status"])).await?;
    ensure!(code == 5 && printed.contains("'uid:65534' has no role here"), "{code} {printed}");
    ensure!(printed.contains("[[control.access]]"), "no remedy: {printed}");
    daemon.stop(LogCheck::Expected(&["refused"])).await?;

    world.config.set("control.access", vec![entry("uid:65534", "viewer")])?;
    let daemon = world.start().await?;
    run(&mut as_stranger(&world, &["jobs"])).await.and_then(|(code, printed)| {
        ensure!(code == 0, "{code} {printed}");
        Ok(())
    })?;
    let submit = ["submit", "commercial:images/ami-0abc.bin", "gov:landing/a.bin"];
    let (code, printed) = run(&mut as_stranger(&world, &submit)).await?;
    ensure!(code == 5 && printed.contains("role operator"), "{code} {printed}");
    world.config.set("control.access", vec![entry("uid:65534", "operator")])?;
    world.config.write()?;
    daemon.signal(Signal::SIGHUP)?;
    daemon.says("reloaded").await?;
    let (code, printed) = run(&mut as_stranger(&world, &submit)).await?;
    ensure!(code == 0, "{code} {printed}");
    let audit = std::fs::read_to_string(world.audit_log())?;
    let by_stranger = |event: &str| {
        audit.lines().any(|line| line.contains(event) && line.contains("\"actor\":\"uid:65534\""))
    };
    ensure!(
        by_stranger("\"event\":\"refused\"") && by_stranger("\"event\":\"submitted\""),
        "{audit}"
    );
    daemon.stop(LogCheck::Expected(&["refused"])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_decide_over_tls_and_are_read_again_on_sighup() -> Result<()> {
    let mut world = World::new().await?;
    world.put("ami-0abc.bin", images(1 << 20)).await?;
    let dir = world.path("");
    let ours = Authority::new(&dir, "ours")?;
    let theirs = Authority::new(&dir, "theirs")?;
    ours.sign("server", "bastion.example.org", 2096)?;
    ours.sign("viewer", "viewer.example.org", 2096)?;
    ours.sign("operator", "operator.example.org", 2096)?;
    ours.sign("expired", "operator.example.org", 2021)?;
    theirs.sign("foreign", "operator.example.org", 2096)?;
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    world.config.set("control.listen", format!("127.0.0.1:{port}"))?;
    let tls = [("cert", "server.pem"), ("key", "server.key"), ("client_ca", "ours-ca.pem")];
    for (key, file) in tls {
        world.config.set(&format!("control.tls.{key}"), file)?;
    }
    let entries =
        vec![entry("viewer.example.org", "viewer"), entry("operator.example.org", "operator")];
    world.config.set("control.access", entries)?;
    let daemon = world.start().await?;

    let endpoint = format!("https://127.0.0.1:{port}");
    let with = |identity: Option<&str>, args: &[&str]| {
        let mut command = client(&endpoint, args);
        command.current_dir(&dir).args(["--tls-ca", "ours-ca.pem"]);
        command.env("CAUSEWAY_TLS_SERVER_NAME", "bastion.example.org");
        if let Some(name) = identity {
            command.args([
                "--tls-cert",
                &format!("{name}.pem"),
                "--tls-key",
                &format!("{name}.key"),
            ]);
        }
        command
    };
    let submit = ["submit", "commercial:images/ami-0abc.bin", "gov:landing/", "--wait"];
    for (identity, args, code, words) in [
        (Some("viewer"), &["status"][..], 0, "gov"),
        (Some("viewer"), &submit, 5, "Submit is for the role operator"),
        (Some("operator"), &submit, 0, "succeeded"),
        (Some("operator"), &["drain"], 5, "Drain is for the role admin"),
        (None, &["status"], 5, "does not accept this client's certificate (CertificateRequired)"),
        (Some("expired"), &["status"], 5, "(CertificateExpired)"),
        (Some("foreign"), &["status"], 5, "does not accept this client's certificate"),
    ] {
        let (ended, printed) = run(&mut with(identity, args)).await?;
        ensure!(
            ended == code && printed.contains(words),
            "{identity:?} {args:?}: {ended} {printed}"
        );
    }
    // The client, too, does not talk to just anybody.
    let mut other_name = with(Some("viewer"), &["status"]);
    let (code, printed) = run(other_name.env_remove("CAUSEWAY_TLS_SERVER_NAME")).await?;
    ensure!(code == 2 && printed.contains("its certificate is not trusted"), "{code} {printed}");
    let mut other_ca = client(&endpoint, &["status", "--tls-ca", "theirs-ca.pem"]);
    let other_ca = other_ca.current_dir(&dir).args(["--tls-server-name", "bastion.example.org"]);
    let (code, printed) = run(other_ca).await?;
    ensure!(code == 2 && printed.contains("its certificate is not trusted"), "{code} {printed}");

    // A new server certificate, by another authority, and its clients' too.
    theirs.sign("server", "bastion.example.org", 2096)?;
    std::fs::rename(world.path("theirs-ca.pem"), world.path("ours-ca.pem"))?;
    daemon.signal(Signal::SIGHUP)?;
    daemon.says("reloaded").await?;
    let (code, printed) = run(&mut with(Some("foreign"), &["status"])).await?;
    ensure!(code == 0, "{code} {printed}");
    let (code, printed) = run(&mut with(Some("operator"), &["status"])).await?;
    ensure!(code == 5, "{code} {printed}");
    daemon.stop(LogCheck::Expected(&["refused"])).await
}

/// A copy or a `chmod` that meant well: somebody may have read what is the daemon's alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_others_can_read_is_refused() -> Result<()> {
    let world = World::new().await?;
    world.start().await?.stop(LogCheck::Clean).await?;
    for entry in std::fs::read_dir(world.path("data/ledger"))? {
        let mode = entry?.metadata()?.permissions().mode();
        ensure!(mode & 0o077 == 0, "{mode:o}");
    }
    let file = world.path("data/ledger/db");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644))?;
    let refused = world.causewayd(&["run"]).await?.expect_code(78)?;
    ensure!(refused.stderr.contains("has the mode 0644"), "{refused:?}");
    ensure!(refused.stderr.contains("chmod -R go="), "{refused:?}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?;
    world.start().await?.stop(LogCheck::Clean).await
}
