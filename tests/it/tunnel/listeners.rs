use std::collections::BTreeSet;
use std::fs;

use tokio::net::TcpStream;
use tokio_postgres::NoTls;

use super::cluster::Cluster;
use super::tunnelled;
use crate::support::ports::free_port;
use crate::support::proxy::Proxy;
use crate::support::raw::Raw;
use crate::support::roles::DATABASE;

/// `TCP_LISTEN` of the kernel's `include/net/tcp_states.h`, as /proc writes it.
const LISTENING: &str = "0A";

/// `__SO_ACCEPTCON` of the kernel's `include/uapi/linux/net.h`, as /proc writes it.
const ACCEPTING: &str = "00010000";

/// The listeners of a process: `IP:PORT` in the hexadecimal of proc(5), or the path of a Unix socket. `None` where only
/// root may inspect a process that is not dumpable.
fn listeners(proxy: &Proxy) -> Option<BTreeSet<String>> {
    let process = format!("/proc/{}", proxy.id());
    let links = fs::read_dir(format!("{process}/fd")).ok()?;
    let links: BTreeSet<_> = links
        .filter_map(|link| Some(fs::read_link(link.ok()?.path()).ok()?.to_string_lossy().into_owned()))
        .collect();
    let table = |name: &str| fs::read_to_string(format!("{process}/net/{name}")).unwrap();
    let mut found = BTreeSet::new();
    for line in [table("tcp"), table("tcp6")].iter().flat_map(|table| table.lines().skip(1)) {
        let fields: Vec<_> = line.split_whitespace().collect();
        if fields[3] == LISTENING && links.contains(&format!("socket:[{}]", fields[9])) {
            found.insert(fields[1].to_owned());
        }
    }
    for line in table("unix").lines().skip(1) {
        let fields: Vec<_> = line.split_whitespace().collect();
        if fields[3] == ACCEPTING && links.contains(&format!("socket:[{}]", fields[6])) {
            found.insert((*fields.get(7).unwrap_or(&"unnamed")).to_owned());
        }
    }
    Some(found)
}

fn loopback(ports: &[u16]) -> BTreeSet<String> {
    // 127.0.0.1 in the byte order of this machine.
    let address = u32::from_ne_bytes([127, 0, 0, 1]);
    ports.iter().map(|port| format!("{address:08X}:{port:04X}")).collect()
}

fn expect(proxy: &Proxy, ports: &[u16]) {
    match listeners(proxy) {
        Some(found) => assert_eq!(found, loopback(ports)),
        None => eprintln!("not checked: only root can list the listeners of a process that is not dumpable"),
    }
}

#[tokio::test]
async fn only_listen_addr_is_open_unless_local_port_is_set() {
    let cluster = Cluster::start().await;
    let port = free_port();
    let with_port = format!(
        "upstream_proxies: {{open: {{port_forward: {{local_port: '{port}', remote_port: '8000'}}}}}}"
    );
    let world =
        tunnelled(&cluster).with_client(&cluster.upstream("open")).with_client(&with_port).start().await;
    world.add_secret(&cluster.token);
    cluster.add("pod-1", world.server());
    let session = world.connect("alice").await.unwrap();
    expect(world.client(), &[world.client().port()]);
    TcpStream::connect(("127.0.0.1", port)).await.unwrap_err();

    let open = world.start_client(&["--proxy-target", "open"]).await;
    drop(open.config("alice").connect(NoTls).await.unwrap());
    expect(&open, &[open.port(), port]);
    // The port leads to the server in the pod, which reads the database from `host`, as from a client.
    let endpoint = world.rds().endpoint();
    let password = world.postgres.password("by_password");
    let parameters =
        [("user", "by_password"), ("database", DATABASE), ("host", &*endpoint), ("password", &*password)];
    let (mut through, _) = Raw::log_in(port, &parameters).await.unwrap();
    assert_eq!(through.query("select current_user").await.unwrap(), "by_password");
    drop(session);
    world.stop().await;
}
