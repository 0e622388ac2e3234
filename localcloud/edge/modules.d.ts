declare module "*.worker.js" {
  const text: string;
  export default text;
}

declare module "workerd" {
  /** CommonJS: node's default import is the whole of its exports. */
  const workerd: {
    /** Path of the binary. */
    default: string;
    /** The newest compatibility date that it knows. */
    compatibilityDate: string;
  };
  export default workerd;
}
