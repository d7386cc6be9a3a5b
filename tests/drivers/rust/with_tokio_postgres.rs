//! tokio-postgres, with TLS by tokio-postgres-rustls.

mod checks;

use std::future::poll_fn;
use std::time::Duration;

use checks::{Checked, LARGE, copied, ensure, is_division_by_zero, report, restart, variable, verify_large};
use futures_util::{SinkExt, StreamExt};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio_postgres::config::{ChannelBinding, SslMode, SslNegotiation};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("version\t0.7.18 with tokio-postgres-rustls 0.14.0");
    let opened = login().await;
    let (mut client, mut notices) = match opened {
        Ok(opened) => opened,
        Err(error) => return report("login", &Err(error)),
    };
    report("login", &Ok(()));
    report("prepared", &prepared(&client).await);
    report("large", &large(&client).await);
    report("copy", &copy(&client).await);
    report("error", &error(&client).await);
    report("cancel", &cancel(&client).await);
    report("notify", &notify(&client, &mut notices).await);
    report("transaction", &transaction(&mut client).await);
    report("reconnect", &reconnect(&client).await);
}

fn tls() -> Checked<MakeRustlsConnect> {
    let mut roots = rustls::RootCertStore::empty();
    if variable("PGSSLMODE") != "disable" {
        for certificate in CertificateDer::pem_file_iter(variable("PGSSLROOTCERT"))? {
            roots.add(certificate?)?;
        }
    }
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let mut config = if variable("PGSSLCERT").is_empty() {
        builder.with_no_client_auth()
    } else {
        let chain = CertificateDer::pem_file_iter(variable("PGSSLCERT"))?.collect::<Result<_, _>>()?;
        builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(variable("PGSSLKEY"))?)?
    };
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

async fn connect() -> Checked<(Client, UnboundedReceiver<String>)> {
    let mut config = Config::new();
    config.host(variable("PGHOST")).port(variable("PGPORT").parse()?).user(variable("PGUSER"));
    config.password(variable("PGPASSWORD")).dbname(variable("PGDATABASE"));
    config.channel_binding(ChannelBinding::Disable);
    config.ssl_mode(if variable("PGSSLMODE") == "disable" { SslMode::Disable } else { SslMode::Require });
    if variable("PGSSLNEGOTIATION") == "direct" {
        config.ssl_negotiation(SslNegotiation::Direct);
    }
    let (client, mut connection) = config.connect(tls()?).await?;
    let (sender, notices) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(notice) = message {
                let _ = sender.send(notice.payload().to_owned());
            }
        }
    });
    Ok((client, notices))
}

async fn login() -> Checked<(Client, UnboundedReceiver<String>)> {
    let opened = connect().await?;
    let user: String = opened.0.query_one("select current_user::text", &[]).await?.get(0);
    ensure(user == variable("PGUSER"), &user)?;
    Ok(opened)
}

async fn prepared(client: &Client) -> Checked {
    let statement = client.prepare("select $1::int4 + 1, $2::text").await?;
    for number in 0..100_u16 {
        let text = "żółw\n".repeat(number.into());
        let number = i32::from(number);
        let row = client.query_one(&statement, &[&number, &text]).await?;
        ensure((row.get(0), row.get(1)) == (number + 1, text), "another row")?;
    }
    Ok(())
}

async fn large(client: &Client) -> Checked {
    let rows = client.query(LARGE, &[]).await?;
    verify_large(rows.iter().map(|row| (row.get(0), row.get(1))))
}

async fn copy(client: &Client) -> Checked {
    client.batch_execute("create temp table copied (n int, t text)").await?;
    let sink = client.copy_in::<_, &'static [u8]>("copy copied from stdin").await?;
    let text: &'static str = copied().leak();
    let mut sink = Box::pin(sink);
    sink.send(text.as_bytes()).await?;
    sink.as_mut().finish().await?;
    let mut parts = Box::pin(client.copy_out("copy (select * from copied order by n) to stdout").await?);
    let mut received = Vec::new();
    while let Some(part) = parts.next().await {
        received.extend_from_slice(&part?);
    }
    ensure(received == text.as_bytes(), "other rows")
}

async fn error(client: &Client) -> Checked {
    let Err(error) = client.query("select 1 / $1::int4", &[&0]).await else { return Err("no error".into()) };
    is_division_by_zero(error.code().map(SqlState::code))?;
    client.query_one("select 1", &[]).await?;
    Ok(())
}

async fn cancel(client: &Client) -> Checked {
    let (token, tls) = (client.cancel_token(), tls()?);
    let request = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        token.cancel_query(tls).await
    };
    let (query, request) = tokio::join!(client.batch_execute("select pg_sleep(60)"), request);
    request?;
    let code = query.err().and_then(|error| error.code().cloned());
    ensure(code == Some(SqlState::QUERY_CANCELED), "the query was not cancelled")
}

async fn notify(client: &Client, notices: &mut UnboundedReceiver<String>) -> Checked {
    client.batch_execute("listen drivers").await?;
    connect().await?.0.batch_execute("notify drivers, 'received'").await?;
    let notice = tokio::time::timeout(Duration::from_secs(20), notices.recv()).await?;
    ensure(notice.as_deref() == Some("received"), "another notice")
}

async fn transaction(client: &mut Client) -> Checked {
    client.batch_execute("create temp table kept (n int)").await?;
    let committed = client.transaction().await?;
    committed.batch_execute("insert into kept values (1)").await?;
    committed.commit().await?;
    let rolled_back = client.transaction().await?;
    rolled_back.batch_execute("insert into kept values (2)").await?;
    rolled_back.rollback().await?;
    let kept: Vec<i32> = client.query_one("select array_agg(n) from kept", &[]).await?.get(0);
    ensure(kept == [1], "other rows")
}

/// The driver has no pool.
async fn reconnect(client: &Client) -> Checked {
    restart();
    ensure(client.batch_execute("select 1").await.is_err(), "the session survived")?;
    connect().await?.0.batch_execute("select 1").await?;
    Ok(())
}
