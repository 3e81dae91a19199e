// Light, dark, or what the system says.
import { effect, signal } from '@preact/signals';

export type Theme = 'auto' | 'light' | 'dark';
const name = 'millstream.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

function stored(): Theme {
  const t = localStorage.getItem(name);
  return t === 'light' || t === 'dark' ? t : 'auto';
}

export const theme = signal<Theme>(stored());
const systemDark = signal(system.matches);
system.addEventListener('change', () => { systemDark.value = system.matches; });
export const dark = signal(false);

effect(() => {
  dark.value = theme.value === 'dark' || (theme.value === 'auto' && systemDark.value);
  document.documentElement.dataset.theme = dark.value ? 'dark' : 'light';
  if (theme.value === 'auto') localStorage.removeItem(name);
  else localStorage.setItem(name, theme.value);
});
