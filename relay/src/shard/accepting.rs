//! New connections: each is admitted or refused, given to a shard, and there becomes a session.

use std::io;
use std::os::fd::OwnedFd;

use crate::config::{self, Stats};
use bus::address::ConnId;
use bus::session::Session;
use bus::share::User;
use engine::driver::{Driver, Token};
use engine::socket::{self, Network};

use super::admission::Place;
use super::conn::Conn;
use super::inbox::{NewConn, ShardMsg};
use super::kernel_memory::set_send_buffer;
use super::shard::Shard;

impl<D: Driver> Shard<D> {
    /// A connection has come in: one of the shards is to serve it, each in its turn.
    pub(super) fn handle_accepted(&mut self, listener: Token, socket: OwnedFd) {
        self.acceptor.in_want = false;
        if self.stop.is_some() {
            return;
        }
        let admission = &self.core.shared.admission;
        let (place, refused) = match admission.admit(user_of(&socket), &self.core.config.limits) {
            Ok(place) => (place, None),
            Err(why) => {
                let peer = socket::peer_label(&socket);
                tracing::warn!(%peer, kind = why.kind(), reason = %why, "connection refused");
                if !admission.keep_refused() {
                    return;
                }
                (Place::Refused, Some(why))
            }
        };
        let tcp = self.acceptor.open.iter().any(|(token, tcp)| *token == listener && *tcp);
        let shards = self.core.shared.inboxes.len();
        let to = self.acceptor.next_shard;
        self.acceptor.next_shard = (to + 1) % shards;
        self.core.send_to(to as u16, ShardMsg::NewConn(NewConn { socket, place, refused, tcp }));
    }

    /// Takes note of it when a connection has registered: it was looked at often until then.
    #[inline]
    pub(super) fn note_registered(&mut self, token: Token) {
        let Self { conns, core, timers, .. } = self;
        let Some(conn) = conns.get_mut(token.slot()).and_then(Option::as_deref_mut) else { return };
        if matches!(conn.place, Place::Unregistered(_)) && conn.session.name().is_some() {
            core.shared.admission.registered(&mut conn.place);
            timers.clear(conn.timer_at.take(), token);
        }
    }

    /// A connection that this shard is to serve.
    pub(super) fn handle_new_conn(&mut self, new_conn: NewConn) {
        if self.stop.is_some() {
            self.core.shared.admission.leave(new_conn.place);
            return;
        }
        let (settings, memory) = (&self.core.config.socket, &self.core.shared.kernel_memory);
        let sized = set_send_buffer(&new_conn.socket, new_conn.tcp, settings, memory);
        let tuned = tune(&new_conn, settings);
        let peer = socket::peer_label(&new_conn.socket).into_boxed_str();
        if let Some(error) = sized.as_ref().err().or(tuned.as_ref().err()) {
            tracing::debug!(%peer, %error, "the socket keeps its settings");
        }
        let (place, tcp, uid) = (new_conn.place, new_conn.tcp, socket::peer_uid(&new_conn.socket));
        let token = self.driver.adopt(new_conn.socket);
        tracing::debug!(%peer, "connected");
        let me = ConnId { shard: self.core.index, token: token.0 };
        let mut session = Session::new(me, place.user(), tcp, self.core.now, &self.core.settings);
        match (new_conn.refused, self.core.config.bus.stats) {
            (Some(why), _) => session.turn_away(why),
            (None, Stats::Anyone) => session.allow_stats(),
            (None, Stats::Owner) if uid.is_some_and(socket::is_owner) => session.allow_stats(),
            (None, Stats::Owner | Stats::Nobody) => {}
        }
        self.vacate(token.slot());
        if self.conns.len() <= token.slot() {
            self.conns.resize_with(token.slot() + 1, || None);
        }
        let mut conn = Box::new(Conn::new(token, peer, place, session));
        conn.send_buffer = sized.ok().flatten();
        self.conns[token.slot()] = Some(conn);
        self.served += 1;
        self.unarmed.push(token);
        self.mark_dirty(token);
    }
}

/// Who is behind a connection.
fn user_of(socket: &OwnedFd) -> User {
    match (socket::peer_uid(socket), socket::peer_network(socket)) {
        (Some(uid), _) => User::Uid(uid),
        (None, Some(Network::V4(address))) => User::V4(address),
        (None, Some(Network::V6(prefix))) => User::V6(prefix),
        (None, None) => User::Unknown,
    }
}

/// Gives a new socket its settings, but for the send buffer.
fn tune(new_conn: &NewConn, settings: &config::Socket) -> io::Result<()> {
    let socket = &new_conn.socket;
    if !new_conn.tcp {
        return socket::set_buffer_bytes(socket, 0, settings.unix_receive_buffer_bytes);
    }
    if settings.tcp_nodelay {
        socket::set_nodelay(socket)?;
    }
    if settings.tcp_notsent_lowat_bytes > 0 {
        socket::set_notsent_lowat(socket, settings.tcp_notsent_lowat_bytes)?;
    }
    if !settings.tcp_keepalive.is_zero() {
        socket::set_keepalive(socket, settings.tcp_keepalive)?;
    }
    if settings.tcp_busy_poll_us > 0 {
        socket::set_busy_poll(socket, settings.tcp_busy_poll_us)?;
    }
    socket::set_buffer_bytes(socket, 0, settings.tcp_receive_buffer_bytes)
}
