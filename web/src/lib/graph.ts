// Where the nodes of the pipeline's graph stand: topics left, the views that
// read them, the views that read those.

export interface GraphNode { id: string; layer: number; from: string[] }
export interface Place { x: number; y: number; layer: number }

/** Orders each layer by where its inputs stand, so that few edges cross. */
export function layers(nodes: GraphNode[]): string[][] {
  const out: string[][] = [];
  const position = new Map<string, number>();
  const depth = Math.max(-1, ...nodes.map((n) => n.layer));
  for (let layer = 0; layer <= depth; layer++) {
    const here = nodes.filter((n) => n.layer === layer);
    const weight = (n: GraphNode) => {
      const known = n.from.flatMap((id) => (position.has(id) ? [position.get(id)!] : []));
      return known.length === 0 ? Infinity : known.reduce((a, b) => a + b, 0) / known.length;
    };
    const order = here.map((n, i) => ({ id: n.id, w: weight(n), i })).sort((a, b) => (a.w === b.w ? a.i - b.i : a.w - b.w)).map((n) => n.id);
    order.forEach((id, i) => position.set(id, (i + 0.5) / order.length));
    out.push(order);
  }
  return out.filter((l) => l.length > 0);
}

/** A view over views stands behind the furthest of them. */
export function depths(from: Map<string, string[]>, base: (id: string) => number | undefined): Map<string, number> {
  const out = new Map<string, number>();
  const visit = (id: string, path: Set<string>): number => {
    const known = base(id) ?? out.get(id);
    if (known !== undefined) return known;
    if (path.has(id)) return 2;
    const next = new Set(path).add(id);
    const d = 1 + Math.max(1, ...(from.get(id) ?? []).map((f) => visit(f, next)));
    out.set(id, d);
    return d;
  };
  for (const id of from.keys()) visit(id, new Set());
  return out;
}
