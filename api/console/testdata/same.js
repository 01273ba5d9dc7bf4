// What a test says when it fails.
export class Failure extends Error {}

// same compares values as their JSON says them.
export function same(got, want) {
  const [g, w] = [got, want].map(v => JSON.stringify(v));
  if (g !== w) throw new Failure(`got ${g}, want ${w}`);
}
