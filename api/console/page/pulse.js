// Whether a WebSocket lives. A browser does not tell a page: a connection whose network
// is gone, whose other end has lost its power or whose address is another one now looks
// as it did, for minutes. So a page that hears nothing sends an empty message, and the
// gateway answers with another; neither is a byte of the desktop's stream.
//
// Nothing here reads a clock or the network; tunnel.js does. Times are in ms.

export const TICK = 250; // between two looks
const BEAT = 1_000; // between two empty messages while nothing is heard
// What may pass without a word. It grows when a connection was given up that lived, on
// networks that are as slow as that, and shrinks again in peace.
const PATIENT = 1_750, MOST_PATIENT = 16_000, PEACE = 60_000;

export const initial = Object.freeze({
  now: 0, // of the last look; 0: there was none
  heard: 0, // messages
  waiting: 0, // bytes that had not left
  silent: 0, // since something was heard, or left
  since: BEAT, // the last empty message was sent
  peace: 0, // since a connection was given up
  limit: PATIENT,
  answers: false, // the other end is known to answer empty messages
  beat: false, // what is to be done: send an empty message
  dead: false, // or give it up
});

// renew is for another connection.
export const renew = p => ({ ...initial, limit: p.limit, peace: p.peace, answers: p.answers });

// relent is p after a connection was given up that lived.
export const relent = p => ({ ...p, limit: Math.min(2 * p.limit, MOST_PATIENT), peace: 0 });

// look is p after a look at the connection; answers tells that an empty message came.
export function look(p, { now, heard, waiting, answers: answered }) {
  // A page that slept, or that was busy, has not listened for longer than this.
  const passed = p.now ? Math.min(now - p.now, 2 * TICK) : 0;
  const answers = p.answers || answered;
  const lives = heard !== p.heard || waiting < p.waiting;
  const silent = lives ? 0 : p.silent + passed, since = p.since + passed;
  // While nobody knows whether they are answered, they are sent in any case.
  const due = (waiting === 0 || !p.now) && since >= BEAT && (!answers || silent >= TICK);
  const dead = answers && silent >= p.limit;
  const peace = p.peace + passed;
  const limit = peace >= PEACE ? PATIENT : p.limit;
  const beat = due && !dead;
  return { now, heard, waiting, silent, since: beat ? 0 : since, peace: dead ? 0 : peace, limit, answers, beat, dead };
}
