//! A TCP proxy on loopback that can be cut and mended.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What of a connection comes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Whole,
    /// What is sent, and nothing of what comes back.
    There,
    Nothing,
}

/// Passes connections on to another port of 127.0.0.1, until it is [cut](Self::cut).
#[derive(Debug)]
pub struct Cut {
    address: SocketAddr,
    way: watch::Sender<Way>,
    task: JoinHandle<()>,
}

impl Cut {
    /// A proxy to `port`.
    ///
    /// # Panics
    ///
    /// When there is no port to listen on.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let (way, state) = watch::channel(Way::Whole);
        let task = tokio::spawn(async move {
            while let Ok((inbound, _)) = listener.accept().await {
                tokio::spawn(pass(inbound, port, state.clone()));
            }
        });
        Self { address, way, task }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Breaks every connection, and every new one at once.
    pub fn cut(&self) {
        self.way.send_replace(Way::Nothing);
    }

    /// Lets what is sent through from now on, and breaks a connection in place of the first byte that comes back: what was asked
    /// for is done, and nobody hears of it.
    pub fn cut_answers(&self) {
        self.way.send_replace(Way::There);
    }

    /// Lets new connections through again.
    pub fn mend(&self) {
        self.way.send_replace(Way::Whole);
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.task.abort();
        self.way.send_replace(Way::Nothing);
    }
}

async fn pass(mut inbound: TcpStream, port: u16, mut way: watch::Receiver<Way>) {
    if *way.borrow_and_update() == Way::Nothing {
        return;
    }
    let Ok(mut outbound) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    let answers = way.clone();
    let (mut from_client, mut to_client) = inbound.split();
    let (mut from_server, mut to_server) = outbound.split();
    // How a connection ends is its ends' affair: one half may be done before the other.
    let there = async {
        let _ = copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
        std::future::pending().await
    };
    let back = async {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            if *answers.borrow() != Way::Whole || to_client.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
        let _ = to_client.shutdown().await;
    };
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = way.wait_for(|way| *way == Way::Nothing) => {}
    }
}
