// The pipeline as a graph: boxes in columns, joined by curves. On a narrow
// screen the boxes stand below each other, and each names what it reads.
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { layers, type GraphNode } from '../lib/graph';

export interface Node extends GraphNode {
  title: string;
  kind: string;
  href: string;
  mood?: string;
  figures: [string, string][];
  reads?: string;
}

export function Graph(p: { nodes: Node[] }) {
  const box = useRef<HTMLDivElement>(null);
  const [paths, setPaths] = useState<string[]>([]);
  const columns = layers(p.nodes);
  const byId = new Map(p.nodes.map((n) => [n.id, n]));
  const shape = JSON.stringify([columns, p.nodes.map((n) => [n.from, n.figures.length])]);
  useLayoutEffect(() => {
    const host = box.current!;
    const draw = () => {
      const at = host.getBoundingClientRect();
      const edges: string[] = [];
      for (const to of host.querySelectorAll<HTMLElement>('[data-node]')) {
        const b = to.getBoundingClientRect();
        for (const id of byId.get(to.dataset.node!)?.from ?? []) {
          const from = host.querySelector<HTMLElement>(`[data-node="${CSS.escape(id)}"]`);
          if (from === null) continue;
          const a = from.getBoundingClientRect();
          if (b.left <= a.right) continue; // stacked: a narrow screen
          const x1 = a.right - at.left, y1 = a.top + a.height / 2 - at.top;
          const x2 = b.left - at.left, y2 = b.top + b.height / 2 - at.top;
          const bend = Math.max(18, (x2 - x1) / 2);
          edges.push(`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`);
        }
      }
      setPaths(edges);
    };
    draw();
    const resized = new ResizeObserver(draw);
    resized.observe(host);
    return () => resized.disconnect();
  }, [shape]);
  return (
    <div class="graph" ref={box}>
      <svg class="edges" aria-hidden="true">{paths.map((d, i) => <path key={i} d={d} />)}</svg>
      {columns.map((ids, i) => (
        <ul class="layer" key={i}>
          {ids.map((id) => <Box key={id} node={byId.get(id)!} />)}
        </ul>
      ))}
    </div>
  );
}

function Box({ node: n }: { node: Node }): ComponentChildren {
  return (
    <li class={'node ' + (n.mood ?? '')} data-node={n.id}>
      <p class="nodehead"><a href={n.href}>{n.title}</a><span class="kind">{n.kind}</span></p>
      {n.reads !== undefined && <p class="reads">reads {n.reads}</p>}
      <dl>
        {n.figures.map(([label, v]) => <div key={label}><dt>{label}</dt><dd>{v}</dd></div>)}
      </dl>
    </li>
  );
}
