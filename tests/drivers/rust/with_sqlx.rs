//! sqlx, through its pool.

mod checks;

use std::time::Duration;

use checks::{Checked, LARGE, copied, ensure, is_division_by_zero, report, restart, variable, verify_large};
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    println!("version\t0.9.0");
    if variable("PGSSLNEGOTIATION") == "direct" {
        return println!("login\timpossible\talways sends SSLRequest");
    }
    let (mut session, pool) = match login().await {
        Ok(opened) => opened,
        Err(error) => return report("login", &Err(error)),
    };
    report("login", &Ok(()));
    report("prepared", &prepared(&mut session).await);
    report("large", &large(&mut session).await);
    report("copy", &copy(&mut session).await);
    report("error", &error(&mut session).await);
    println!("cancel\timpossible\thas no cancel requests");
    report("notify", &notify(&pool).await);
    report("transaction", &transaction(&mut session).await);
    report("reconnect", &reconnect(&pool).await);
}

async fn login() -> Checked<(PgConnection, PgPool)> {
    // The options begin with libpq's variables.
    let options = PgConnectOptions::new();
    let mut session = PgConnection::connect_with(&options).await?;
    let user: String = sqlx::query_scalar("select current_user::text").fetch_one(&mut session).await?;
    ensure(user == variable("PGUSER"), &user)?;
    Ok((session, PgPoolOptions::new().max_connections(4).connect_with(options).await?))
}

async fn prepared(session: &mut PgConnection) -> Checked {
    for number in 0..100_u16 {
        let text = "żółw\n".repeat(number.into());
        let number = i32::from(number);
        let query = sqlx::query_as("select $1::int4 + 1, $2::text").bind(number).bind(&text);
        let row: (i32, String) = query.fetch_one(&mut *session).await?;
        ensure(row == (number + 1, text), "another row")?;
    }
    Ok(())
}

async fn large(session: &mut PgConnection) -> Checked {
    let rows: Vec<(i32, String)> = sqlx::query_as(LARGE).fetch_all(session).await?;
    verify_large(rows.into_iter())
}

async fn copy(session: &mut PgConnection) -> Checked {
    sqlx::query("create temp table copied (n int, t text)").execute(&mut *session).await?;
    let mut sink = session.copy_in_raw("copy copied from stdin").await?;
    sink.send(copied().as_bytes()).await?;
    sink.finish().await?;
    let mut parts = session.copy_out_raw("copy (select * from copied order by n) to stdout").await?;
    let mut received = Vec::new();
    while let Some(part) = parts.try_next().await? {
        received.extend_from_slice(&part);
    }
    ensure(received == copied().as_bytes(), "other rows")
}

async fn error(session: &mut PgConnection) -> Checked {
    let result = sqlx::query("select 1 / $1::int4").bind(0).execute(&mut *session).await;
    let Err(sqlx::Error::Database(error)) = result else { return Err("no error of the database".into()) };
    is_division_by_zero(error.code().as_deref())?;
    session.ping().await?;
    Ok(())
}

async fn notify(pool: &PgPool) -> Checked {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen("drivers").await?;
    sqlx::query("notify drivers, 'received'").execute(pool).await?;
    let notice = tokio::time::timeout(Duration::from_secs(20), listener.recv()).await??;
    ensure(notice.payload() == "received", "another notice")
}

async fn transaction(session: &mut PgConnection) -> Checked {
    sqlx::query("create temp table kept (n int)").execute(&mut *session).await?;
    let mut committed = session.begin().await?;
    sqlx::query("insert into kept values (1)").execute(&mut *committed).await?;
    committed.commit().await?;
    let mut rolled_back = session.begin().await?;
    sqlx::query("insert into kept values (2)").execute(&mut *rolled_back).await?;
    rolled_back.rollback().await?;
    let kept: Vec<i32> = sqlx::query_scalar("select n from kept").fetch_all(session).await?;
    ensure(kept == [1], "other rows")
}

async fn reconnect(pool: &PgPool) -> Checked {
    restart();
    for _ in 0..10 {
        sqlx::query("select 1").execute(pool).await?;
    }
    Ok(())
}
