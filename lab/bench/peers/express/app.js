// The visit counter from express-session's examples, with its sessions in PostgreSQL through connect-pg-simple.
// All settings have their default values. With PROCESSES above 1, a cluster shares the connections.

import cluster from "node:cluster";

import connectPgSimple from "connect-pg-simple";
import express from "express";
import session from "express-session";
import pg from "pg";

const processes = Number(process.env.PROCESSES ?? 1);

if (processes > 1 && cluster.isPrimary) {
  for (let n = 0; n < processes; n += 1) {
    cluster.fork();
  }
} else {
  serve();
}

function serve() {
  const PgSession = connectPgSimple(session);
  const app = express();

  app.use(
    session({
      store: new PgSession({
        pool: new pg.Pool({ connectionString: process.env.DATABASE_URL }),
        createTableIfMissing: true,
      }),
      secret: process.env.SESSION_SECRET,
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: 8 * 60 * 60 * 1000 },
    }),
  );

  app.get("/", (request, response) => {
    request.session.visits = (request.session.visits ?? 0) + 1;
    response.send(
      `<!doctype html><title>Visits</title><p>You have been here <b id="visits">${request.session.visits}</b> times.`,
    );
  });

  const [host, port] = process.env.BIND_ADDRESS.split(":");
  app.listen(Number(port), host);
}
