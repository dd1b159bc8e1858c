//! A client of many connections on one thread, which looks at each of them in turn and never sleeps: it costs the servers nothing, and
//! waits for no clock.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::servers::Started;
use crate::world;

pub const CONNECTIONS: usize = 32;

pub struct Client {
    connections: Vec<Connection>,
}

/// What one round showed; times in seconds.
pub struct Sample {
    pub answers: usize,
    pub rate: f64,
    pub p50: f64,
    pub p99: f64,
    /// The time of the server's core for each answer.
    pub core: f64,
}

struct Connection {
    stream: TcpStream,
    requests: Vec<Vec<u8>>,
    next: usize,
    sent: Instant,
    answer: Vec<u8>,
    right: &'static str,
}

impl Client {
    pub fn to(server: &Started) -> Self {
        let connection = |number: usize| {
            let stream = TcpStream::connect(&server.address).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_nonblocking(true).unwrap();
            let bodies =
                (0..world::REQUESTS).map(|request| (server.body)(number * world::REQUESTS + request, world::allowed));
            let requests = bodies.map(|body| {
                let head = "host: localhost\r\ncontent-type: application/json\r\naccept: application/json";
                format!("POST {} HTTP/1.1\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", server.path, body.len())
                    .into_bytes()
            });
            Connection {
                stream,
                requests: requests.collect(),
                next: 0,
                sent: Instant::now(),
                answer: Vec::new(),
                right: server.right,
            }
        };
        Self { connections: (0..CONNECTIONS).map(connection).collect() }
    }

    pub fn run(mut self, time: Duration) -> Sample {
        let mut times = Vec::with_capacity(1 << 18);
        let began = Instant::now();
        self.connections.iter_mut().for_each(Connection::ask);
        while began.elapsed() < time {
            for connection in &mut self.connections {
                if let Some(took) = connection.look() {
                    times.push(took.as_secs_f64());
                    connection.ask();
                }
            }
        }
        let rate = times.len() as f64 / began.elapsed().as_secs_f64();
        // What is still asked must not take its time from the server that is next.
        for connection in &mut self.connections {
            while connection.look().is_none() {}
        }
        times.sort_by(f64::total_cmp);
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        Sample { answers: times.len(), rate, p50: at(0.5), p99: at(0.99), core: 0.0 }
    }
}

/// Asks once, and waits for the answer.
pub fn ask(address: &str, path: &str, body: &str) -> Result<String, ureq::Error> {
    let request = ureq::post(format!("http://{address}{path}")).content_type("application/json");
    request.send(body)?.body_mut().read_to_string()
}

impl Connection {
    fn ask(&mut self) {
        let request = &self.requests[self.next % self.requests.len()];
        self.next += 1;
        self.sent = Instant::now();
        // A request is far smaller than what a socket takes at once.
        self.stream.write_all(request).unwrap();
    }

    /// How long the answer took, once it is there; it must be the right one.
    fn look(&mut self) -> Option<Duration> {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => panic!("the server hung up after {:?}", String::from_utf8_lossy(&self.answer)),
            Ok(count) => self.answer.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => panic!("{error}"),
        }
        let head = self.answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&self.answer[..head]).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{}", String::from_utf8_lossy(&self.answer));
        let length = text.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
        });
        let body = self.answer.get(head..head + length.unwrap())?;
        let is_right = memchr::memmem::find(body, self.right.as_bytes()).is_some();
        assert!(is_right, "{}", String::from_utf8_lossy(body));
        self.answer.clear();
        Some(self.sent.elapsed())
    }
}
