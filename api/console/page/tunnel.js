// One connection to the desktop: a WebSocket, and noVNC's client upon it. All
// that becomes of it is reported as events of state.js.
import { TICK, initial, look, relent, renew } from "./pulse.js";

const LOOK = 40; // ms between looks for the first picture
const PROOF = 5_000; // ms a connection has to prove that it lives in
const NOTHING = new Uint8Array(0);

// FramebufferUpdateRequest for one pixel, not incremental (RFC 6143, 7.5.3): the
// desktop has to answer it.
const ANY_PIXEL = new Uint8Array([3, 0, 0, 0, 0, 0, 0, 1, 0, 1]);

export class Tunnel {
  #report;
  #socket;
  #end = null; // the WebSocket's last event
  #heard = 0; // messages
  #answers = false; // the other end answers empty messages
  #pulse;
  #ticking = 0;
  #looking = 0;
  #over = false;

  constructor(RFB, place, session, credentials, former, report) {
    this.#report = report;
    this.#pulse = renew(former ?? initial);
    const scheme = location.protocol === "https:" ? "wss://" : "ws://";
    // noVNC does not tell how a WebSocket ended. It takes one that is there, and
    // then we know ourselves; being asked before noVNC, we know first.
    this.#socket = new WebSocket(scheme + location.host + "/v3/connect/?session=" + encodeURIComponent(session.id), ["binary"]);
    this.#socket.addEventListener("open", () => this.#report({ type: "opened" }));
    this.#socket.addEventListener("close", e => { this.#end = e; });
    this.rfb = new RFB(place, this.#socket, { shared: session.shared, credentials });
    this.#socket.addEventListener("message", e => {
      this.#heard++;
      if (e.data.byteLength === 0) this.#answers = true;
    });
    this.canvas = place.lastElementChild.querySelector("canvas");
    this.rfb.viewOnly = session.viewOnly;
    this.rfb.background = "transparent";
    this.#listen();
  }

  #listen() {
    const on = (name, to) => this.rfb.addEventListener(name, to);
    on("connect", () => { this.#report({ type: "connected" }); this.#look(); this.#tick(); });
    on("desktopname", e => this.#report({ type: "named", name: e.detail.name }));
    on("credentialsrequired", e => this.#report({ type: "ask", types: e.detail.types }));
    on("securityfailure", e => this.#report({ type: "denied", said: e.detail.reason ?? "" }));
    on("serververification", () => this.#report({ type: "untrusted" }));
    on("disconnect", () => {
      this.#over = true;
      this.#rest();
      this.#report(this.#end ? { type: "closed", code: this.#end.code, reason: this.#end.reason } : { type: "failed" });
    });
  }

  // look waits for the first picture, of which noVNC does not tell: what has not
  // been painted is transparent.
  #look() {
    const glass = Object.assign(document.createElement("canvas"), { width: 4, height: 4 })
      .getContext("2d", { willReadFrequently: true });
    const look = () => {
      if (!this.canvas.width || !this.canvas.height) return false;
      glass.clearRect(0, 0, 4, 4);
      glass.drawImage(this.canvas, 0, 0, 4, 4);
      return glass.getImageData(0, 0, 4, 4).data.some((v, i) => i % 4 === 3 && v > 0);
    };
    const again = () => {
      if (look()) this.#report({ type: "painted" });
      else this.#looking = setTimeout(again, LOOK);
    };
    again();
  }

  // waiting are the bytes that the network has not taken yet.
  get waiting() { return this.#socket.bufferedAmount; }

  // pulse is for the next connection.
  get pulse() { return this.#pulse; }

  // tick looks again and again whether the connection lives.
  #tick() {
    this.#pulse = look(this.#pulse, { now: performance.now(), heard: this.#heard, waiting: this.waiting, answers: this.#answers });
    if (this.#pulse.dead) return this.#gone();
    if (this.#pulse.beat && this.#socket.readyState === WebSocket.OPEN) this.#socket.send(NOTHING);
    this.#ticking = setTimeout(() => this.#tick(), TICK);
  }

  #rest() {
    clearTimeout(this.#looking);
    clearTimeout(this.#ticking);
  }

  // gone reports what a browser would, when it noticed.
  #gone() { this.#report({ type: "closed", code: 1006, reason: "" }); }

  // prove drops the connection unless the desktop says something in time. It is
  // for moments in which the network was away: a WebSocket does not notice.
  prove() {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    const heard = this.#heard;
    this.#socket.send(ANY_PIXEL);
    setTimeout(() => {
      if (this.#heard === heard) this.#gone();
    }, PROOF);
  }

  // relent has it wait longer for a sign of life.
  relent() { this.#pulse = relent(this.#pulse); }

  // drop ends it. What happens to it afterwards is nobody's concern, but that one that
  // was given up lived: only then both ends say goodbye.
  drop(lived) {
    this.#report = () => {};
    if (this.#pulse.dead) this.#socket.addEventListener("close", e => { if (e.wasClean) lived(); });
    this.#rest();
    if (!this.#over) this.rfb.disconnect();
  }
}
