//! Whole documents: configurations of the Go program, and every YAML block in the documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    CertificateParams, CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, SerialNumber,
    date_time_ymd,
};

use super::{client, read, server};
use crate::catalog::Pods;
use crate::config::{Mode, UpstreamTransport};
use crate::tls;

#[test]
fn a_client_configuration_of_the_go_program_is_accepted() {
    let text = r#"
proxy:
  listen_addr: 0.0.0.0:8001
  ssl:
    enabled: false
upstream_proxies:
  default:
    host: proxy.example.com:8000
    ssl:
      mode: "verify-full"
  cluster:
    port_forward:
      kube_config: "$HOME/.kube/config"
      context: "dev"
      deployment: "rds-auth-proxy"
      namespace: "rds-auth-proxy"
      local_port: '8000'
      remote_port: '8000'
    ssl:
      mode: disable
    aws_auth_only: true
targets:
  local-postgres:
    host: "0.0.0.0:5432"
    database: postgres
    local_port: '54001'
    ssl:
      mode: "disable"
"#;
    let error = read(text, Mode::Client).unwrap_err();
    assert!(
        error.starts_with("config.yaml:3:16: proxy.listen_addr: `0.0.0.0:8001` is not a loopback"),
        "{error}"
    );
    let config = client(&text.replacen("proxy:\n", "proxy:\n  allow_remote: true\n", 1));
    assert_eq!(config.listen.to_string(), "0.0.0.0:8001");
    assert_eq!(config.upstreams["default"].connector().unwrap().mode(), tls::SslMode::VerifyFull);
    assert!(matches!(&config.upstreams["cluster"].transport, UpstreamTransport::PortForward(forward)
        if forward.pods == Pods::Deployment("rds-auth-proxy".into()) && forward.local_port == Some(8000)));
    assert_eq!(config.targets[0].local_port, Some(54001));
}

#[test]
fn a_server_configuration_of_the_go_program_is_accepted() {
    let config = server(
        r#"
proxy:
  listen_addr: ":8000"
  ssl:
    enabled: true
  target_acl:
    allowed_rds_tags:
      - name: rds_proxy_enabled
        value: true
    blocked_rds_tags:
      - name: rds_proxy_disabled
        value: "true"
targets:
  in-cluster:
    host: postgres:5432
    ssl: {mode: "preferred"}
"#,
    );
    assert_eq!(config.listen.to_string(), "0.0.0.0:8000");
    assert_eq!(config.acl.allowed[0].to_string(), "rds_proxy_enabled=true");
    assert_eq!(config.acl.blocked[0].to_string(), "rds_proxy_disabled=true");
    assert_eq!(config.targets[0].tls.mode, Some(tls::SslMode::Prefer));
}

/// Blocks with one of the sections are whole configurations; others are Helm values or Kubernetes objects. The certificate
/// files that they name do not exist, so the test generates some.
#[test]
fn every_configuration_in_the_documentation_is_valid() {
    let mut read_pages = BTreeSet::new();
    for page in pages() {
        for block in blocks(&fs::read_to_string(&page).unwrap()) {
            let modes = match block.info.as_str() {
                "client" => vec![Mode::Client, Mode::DirectClient],
                "server" => vec![Mode::Server],
                _ => vec![Mode::Client, Mode::DirectClient, Mode::Server],
            };
            for mode in modes {
                if let Err(error) = read(&with_files(&block.text), mode) {
                    panic!("{}, the block at line {}: {error}", page.display(), block.line);
                }
                read_pages.insert(page.clone());
            }
        }
    }
    for page in [
        "docs/reference.md",
        "docs/quickstart.md",
        "docs/guides/setup.md",
        "docs/guides/kubernetes.md",
        "README.md",
    ] {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        assert!(read_pages.contains(&page), "no configuration was found in {}", page.display());
    }
}

struct Block {
    info: String,
    line: usize,
    text: String,
}

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let directories = ["docs", "docs/guides"].map(|directory| fs::read_dir(root.join(directory)).unwrap());
    let docs = directories.into_iter().flatten().map(|entry| entry.unwrap().path());
    let pages = docs.chain([root.join("README.md"), root.join("SECURITY.md")]);
    pages.filter(|page| page.is_file() && page.extension().is_some_and(|ending| ending == "md")).collect()
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut lines = page.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(info) = line.strip_prefix("```yaml") else { continue };
        let text: Vec<_> =
            lines.by_ref().map(|(_, line)| line).take_while(|line| !line.starts_with("```")).collect();
        found.push(Block { info: info.trim().to_owned(), line: number + 1, text: text.join("\n") });
    }
    let sections = ["proxy:", "rds:", "upstream_proxies:", "targets:"];
    let begins = |block: &Block, name: &str| block.text.lines().any(|line| line.starts_with(name));
    found.retain(|block| block.info != "helm-values" && !begins(block, "apiVersion:"));
    found.retain(|block| sections.iter().any(|name| begins(block, name)));
    found
}

/// A revocation list without entries, as PEM.
fn revocation_list() -> String {
    let params = CertificateRevocationListParams {
        this_update: date_time_ymd(2020, 1, 1),
        next_update: date_time_ymd(2090, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let issuer = Issuer::new(CertificateParams::default(), KeyPair::generate().unwrap());
    params.signed_by(&issuer).unwrap().pem().unwrap()
}

/// The text with files that exist: every `*.pem` and `*.crt` becomes the path of a generated certificate, every `*.key` the
/// path of its key. The file has a revocation list too.
pub(super) fn with_files(text: &str) -> String {
    use std::sync::OnceLock;
    static GENERATED: OnceLock<(tempfile::TempDir, String, String)> = OnceLock::new();
    let (_, certificate, key) = GENERATED.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let generated = tls::SelfSigned::generate(&["localhost".into()]).unwrap();
        let [certificate, key] = ["made.pem", "made.key"].map(|name| directory.path().join(name));
        fs::write(&certificate, generated.certificate_pem.clone() + &revocation_list()).unwrap();
        fs::write(&key, generated.key_pem.expose()).unwrap();
        (directory, certificate.to_str().unwrap().into(), key.to_str().unwrap().into())
    });
    let ends_word = |letter: char| letter.is_whitespace() || "{}[],\"'".contains(letter);
    text.split_inclusive(ends_word)
        .map(|word| {
            let name = word.trim_end_matches(ends_word);
            let rest = &word[name.len()..];
            match Path::new(name).extension().and_then(|ending| ending.to_str()) {
                Some("key") => format!("{key}{rest}"),
                Some("pem" | "crt") => format!("{certificate}{rest}"),
                _ => word.to_owned(),
            }
        })
        .collect()
}
