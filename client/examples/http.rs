//! HTTP over a bus: a channel is a stream of bytes, so any protocol that runs over one runs over it, unchanged.
//!
//! Start a relay (`minbusd`), then `cargo run -p minbus --example http` as the server, and with a path as the client:
//! `cargo run -p minbus --example http -- /hello`. The server is also there for any other program:
//! `printf 'GET /hello HTTP/1.0\r\n\r\n' | minbus connect http`.

use std::convert::Infallible;
use std::env;
use std::error::Error;

use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};
use hyper_util::rt::TokioIo;
use minbus::Bus;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        None => serve().await,
        Some(path) => get(&path).await,
    }
}

/// Serves each connection in a task of its own.
async fn serve() -> Result<(), Box<dyn Error>> {
    let bus = Bus::register("http", 1).await?;
    eprintln!("http is on the bus");
    loop {
        let incoming = bus.incoming().await?;
        let stream = TokioIo::new(incoming.accept().into_stream());
        tokio::spawn(async move {
            if let Err(error) = server::conn::http1::Builder::new().serve_connection(stream, service_fn(answer)).await {
                eprintln!("{error}");
            }
        });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = format!("You asked for {} over a bus.\n", request.uri().path());
    Ok(Response::new(Full::new(text.into())))
}

/// Asks for one path.
async fn get(path: &str) -> Result<(), Box<dyn Error>> {
    let bus = Bus::client().await?;
    let stream = TokioIo::new(bus.open("http").await?.into_stream());
    let (mut requests, connection) = client::conn::http1::handshake(stream).await?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "http").body(Empty::<Bytes>::new())?;
    let response = requests.send_request(request).await?;
    println!("{}", response.status());
    let body = response.into_body().collect().await?.to_bytes();
    print!("{}", String::from_utf8_lossy(&body));
    drop(requests);
    bus.close().await?;
    Ok(())
}
