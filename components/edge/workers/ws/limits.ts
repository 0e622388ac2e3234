/** Limits of the WebSocket Gateway and the codes with which it closes (docs/websocket-resume.md). */

/** Largest message of either side, bytes of its payload. */
export const MESSAGE_BYTES = 1024 * 1024;
/** What one side may have sent without its acknowledgement. */
export const WINDOW_MESSAGES = 256;
export const WINDOW_BYTES = 4 * 1024 * 1024;
/** What is kept for a client that acknowledges more slowly than its machine speaks, or is away. */
export const KEPT_MESSAGES = 8_192;
export const KEPT_BYTES = 16 * 1024 * 1024;
/** How long a session waits for its client to come back: its token is good for as long. */
export const RESUME_SECONDS = 120;
/** How often a client of the resume protocol pings, and after how long without a word its connection is given up. */
export const PING_SECONDS = 20;
export const IDLE_SECONDS = 60;
/** After how long without a message in either direction a plain connection is closed. */
export const PLAIN_IDLE_SECONDS = 600;
/** Longest request target and headers of an upgrade, bytes: they are kept to reach the next machine. */
export const HANDSHAKE_BYTES = 64 * 1024;

/** An acknowledgement goes out at once after so much, else after this time where no message carries it. */
export const ACK_MESSAGES = 32;
export const ACK_BYTES = 256 * 1024;
export const ACK_MS = 50;

export const NORMAL = 1000;
export const GOING_AWAY = 1001;
export const NO_STATUS = 1005;
/** Of a connection that ended without a close frame; never sent. */
export const BROKEN = 1006;
export const TOO_BIG = 1009;
export const INTERNAL_ERROR = 1011;
export const SERVICE_RESTART = 1012;
export const TRY_AGAIN_LATER = 1013;
/** Another connection came with this session's token. */
export const REPLACED = 4900;
/** The token names no session that this client may resume. */
export const NOT_RESUMABLE = 4901;
/** A frame that the protocol doesn't know, or a sequence number that can't be. */
export const PROTOCOL_FAULT = 4902;

/** A code that may be sent: 1005, 1006 and 1015 are for APIs only (RFC 6455, section 7.4.1). */
export function sendable(code: number): number {
  return code === NORMAL || (code >= 3000 && code <= 4999) || [1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].includes(code) ? code : GOING_AWAY;
}

/** Whether a machine that closed with this code meant the conversation, not itself: another machine can't go on with it. */
export function isFinal(code: number): boolean {
  return code === NORMAL || code === NO_STATUS || (code >= 3000 && code <= 4999) || [1002, 1003, 1007, 1008, 1009, 1010].includes(code);
}
